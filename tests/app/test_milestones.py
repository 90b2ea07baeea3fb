"""Lines of progress in a log."""

from app.milestones import Milestones


def test_a_part_is_told_when_it_begins_and_every_ten_seconds() -> None:
    """A line for each new part, then one in ten seconds at most, and none for what is done."""
    said, now = list[str](), 0.0
    told = Milestones(said.append, lambda: now)
    for second in range(26):
        now = float(second)
        told("rows", 10 * second, 800)
    told("graph audio", 0, 4)
    now += 60
    told("graph audio", 4, 4)
    assert said == ["rows …", "rows 100 of 800", "rows 200 of 800", "graph audio …"]
