import json
from itertools import permutations
from pathlib import Path

import pytest

from streaming.errors import GlossaryError
from training.corpus.glossary import TrainingGlossary, TrainingTerm, read_training_glossary
from training.corpus.matching import TermMatcher

SEED = {
    "neural network": {
        "url": "http://example.org/Neural_network",
        "term": "Neural network",
        "target_translations": {"zh": "神经网络", "de": "Neuronales Netz", "es": "Red neuronal"},
        "short_description": "Neural network, (machine learning) computational model",
        "confused": False,
    },
    "kalman filter": {"term": "Kalman filter", "target_translations": None, "short_description": None},
}


def write(folder: Path, content: object, name: str = "glossary_filtered.json") -> Path:
    """A file of JSON; a string is written as it is."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), "utf-8")
    return path


@pytest.mark.parametrize("listed", [False, True])
def test_both_shapes_of_the_seed_are_read(tmp_path: Path, listed: bool) -> None:
    """An object keyed by term and a list of its values are the same glossary."""
    glossary = read_training_glossary(write(tmp_path, list(SEED.values()) if listed else SEED))
    assert [t.term for t in glossary.terms] == ["Neural network", "Kalman filter"]
    assert glossary.terms[0].translations["zh"] == "神经网络"
    assert glossary.text_of("neural networks".removesuffix("s"), "short_description").startswith("Neural network, (")
    assert glossary.text_of("Kalman filter", "short_description") == "Kalman filter"
    assert glossary.text_of("neural network", "term") == "neural network"


def test_lists_of_texts_and_lines_are_read(tmp_path: Path) -> None:
    """A list of strings, and one term a line of a .txt, also with a byte order mark."""
    path = tmp_path / "terms.txt"
    path.write_bytes("\ufeffKalman filter\n\nion\n".encode())
    listed = read_training_glossary(write(tmp_path, ["Kalman filter", "ion", " "]))
    assert [t.term for t in listed.terms] == [t.term for t in read_training_glossary(path).terms]


def test_aliases_lead_to_their_term(tmp_path: Path) -> None:
    """An alias of alt2main.json is found as its main term, in the matcher too, and shares its group."""
    aliases = write(tmp_path, {"neural nets": "neural network", "n.n. model": "absent"}, "alt2main.json")
    glossary = read_training_glossary(write(tmp_path, SEED), aliases)
    found = glossary.find("Neural-Nets")
    assert found is not None
    assert found.term == "Neural network"
    assert glossary.find("n.n. model") is None
    assert ("neural nets", "Neural network") in list(glossary.forms())
    assert [m.term for m in TermMatcher(glossary.forms()).find(["neural", "nets"])] == ["Neural network"]
    assert glossary.group_of("neural nets") == glossary.group_of("NEURAL NETWORK")
    assert glossary.group_of("n.n. model") == glossary.group_of("absent")


def test_aliases_may_name_keys_that_are_not_terms(tmp_path: Path) -> None:
    """An alias leads to the entry whose key it names, whatever the term of that entry is."""
    glossary = read_training_glossary(
        write(tmp_path, {"linear quadratic estimator": {"term": "LQE filter"}}),
        write(tmp_path, {"kalman filter": "linear quadratic estimator"}, "alt2main.json"),
    )
    assert {term for _, term in glossary.forms()} == {"LQE filter"}
    assert len({glossary.group_of(x) for x in ("kalman filter", "LQE filter", "linear quadratic estimator")}) == 1


@pytest.mark.parametrize(
    "variant", ["神经网络", "neuronales netz", "Neural networks", "neural-network", "neural network's"]
)
def test_variants_share_a_group(tmp_path: Path, variant: str) -> None:
    """Translations, plurals, hyphens and possessives of a term are of its group; another term is not."""
    glossary = read_training_glossary(write(tmp_path, SEED))
    assert glossary.group_of(variant) == glossary.group_of("neural network")
    assert glossary.group_of("kalman filter") != glossary.group_of("neural network")
    assert 0 <= glossary.group_of("anything else") < 1 << 63


def test_words_that_no_glossary_holds_have_groups() -> None:
    """A text outside the glossary has a group of its own, which it shares with its plural."""
    glossary = TrainingGlossary([])
    assert glossary.group_of("Boxes") == glossary.group_of("box")
    assert glossary.group_of("batteries") == glossary.group_of("battery")
    assert glossary.group_of("analysis") != glossary.group_of("analysi")
    assert glossary.group_of("ion") != glossary.group_of("neuron")


def test_equal_translations_join_terms_but_one_shared_sense_does_not() -> None:
    """Terms of the same translations are variants; terms that agree in one language of several are not."""
    bank = TrainingTerm("bank", translations={"de": "Bank", "es": "banco"})
    bench = TrainingTerm("bench", translations={"de": "Bank", "es": "banca"})
    money = TrainingTerm("money house", translations={"de": "Bank", "es": "banco"})
    glossary = TrainingGlossary([bank, bench, money])
    assert glossary.group_of("bank") == glossary.group_of("money house") == glossary.group_of("Banco")
    assert glossary.group_of("bench") != glossary.group_of("bank")
    assert glossary.group_of("banca") == glossary.group_of("bench")


def test_groups_do_not_depend_on_order() -> None:
    """However entries and links are ordered, linked names are of one group with the same number."""
    terms = [
        TrainingTerm("a-term", aliases=("b-term",)),
        TrainingTerm("c-term", aliases=("b-term",)),
        TrainingTerm("d"),
    ]
    numbers = {
        tuple(TrainingGlossary(order).group_of(x) for x in ("c-term", "a term", "d")) for order in permutations(terms)
    }
    ((first, second, third),) = numbers
    assert first == second != third


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("7", "no JSON object or list"),
        ('["a term", ', "not sound JSON"),
        ('{"a": ', "not sound JSON"),
        ("[" * 20_000 + "1" + "]" * 20_000, "nested deeper than 64 levels"),
        ([7], "entry 1 .*no object"),
        ({"a term": {"term": 3}}, "entry 1 .*texts"),
        ({"a term": {"aliases": "x"}}, "aliases"),
        ([], "holds no term"),
    ],
)
def test_bad_glossaries_are_told(tmp_path: Path, content: object, said: str) -> None:
    """What is no glossary is an error that names the file and the entry."""
    with pytest.raises(GlossaryError, match=said) as raised:
        read_training_glossary(write(tmp_path, content))
    assert "glossary_filtered.json" in str(raised.value)


def test_bad_alias_files_and_missing_files_are_told(tmp_path: Path) -> None:
    """An alias without a text, other encodings and absent files are named."""
    glossary = write(tmp_path, SEED)
    with pytest.raises(GlossaryError, match=r'alt2main\.json.*"alias": "main term"'):
        read_training_glossary(glossary, write(tmp_path, {"alias": 3}, "alt2main.json"))
    with pytest.raises(GlossaryError, match=r"absent\.json: No such file"):
        read_training_glossary(tmp_path / "absent.json")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(GlossaryError, match="not UTF-8"):
        read_training_glossary(tmp_path / "latin.txt")
