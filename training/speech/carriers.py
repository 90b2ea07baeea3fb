"""What is said around a term, and in place of one where nothing should be found. All of it is ours."""

CARRIERS: tuple[tuple[str, str], ...] = (
    ("we now come to", "and what follows from it"),
    ("the next slide is about", ""),
    ("", "is what we measured first"),
    ("please look at", "on the second page"),
    ("nobody had mentioned", "until last week"),
    ("this depends on", "more than on anything else"),
)
"""Words before and after a term."""

PHRASES: tuple[str, ...] = tuple(
    " ".join(phrase.split())
    for phrase in """
    breakfast table, open window, cup of coffee, old friend, long walk, wooden chair, birthday cake, winter coat,
    front door, garden fence, cold morning, red bicycle, shopping bag, quiet street, small village, summer holiday,
    bread and butter, rainy afternoon, grey cat, loud music, new neighbours, train ticket, green apple, warm
    blanket, empty bottle, village school, broken umbrella, kitchen floor, brother in law, morning paper, pair of
    shoes, glass of milk, busy market, tall tree, family photograph, black dog, railway station, lost key, dinner
    party, soft pillow, steep hill, yellow flower, football match, late supper, little boat, stone bridge, clean
    shirt, happy child, wide river, bus driver, evening news, sandy beach, light bulb, town hall, silver spoon,
    chocolate biscuit, heavy suitcase, next tuesday, wedding ring, corner shop, bowl of soup, hotel lobby, sleeping
    baby, narrow path, orange juice, school uniform, full moon, leather wallet, picnic basket, bedroom wall, sunny
    garden, fresh fish, wrong number, christmas dinner, dusty attic, swimming pool, piano lesson, muddy boots,
    friendly postman, cheese sandwich, parking space, white horse, letter box, tired traveller, boiled egg, first
    floor, paper plane, bathroom mirror, sore throat, lazy sunday, theatre tickets, noisy children, bag of sweets,
    mountain cabin, pocket money, ripe tomato, kind teacher, rusty gate, new toothbrush, short haircut
    """.split(",")
)
"""Everyday phrases: spoken in the same carriers as terms, they keep a carrier from betraying that a term follows."""
