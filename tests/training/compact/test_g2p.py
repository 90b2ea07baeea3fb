import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.compact.g2p import (
    DictionaryError,
    G2pConfig,
    GraphemeToPhoneme,
    Pronounced,
    Row,
    letter_ids,
    pronouncing_loss,
    read_dictionary,
    split_words,
    train_g2p,
    word_accuracy,
)
from training.losses.total import Losses

SMALL = G2pConfig(
    width=48,
    layers=1,
    heads=2,
    dropout=0.0,
    batch_words=20,
    epochs=40,
    learning_rate=5e-3,
    warmup_steps=5,
    held_out_share=0.0,
)
CONSONANTS = dict(zip("bdfgklmnpt", "B D F G K L M N P T".split(), strict=True))
VOWELS = {"a": "AE", "e": "EH", "o": "AA", "i": "IH", "oo": "UW", "ee": "IY"}


def toy_rows() -> Sequence[Row]:
    """Sixty words of a toy spelling: a consonant, a vowel, which two letters may write, and a consonant."""
    rows = [
        (a + v + b, (CONSONANTS[a], VOWELS[v], CONSONANTS[b]))
        for a, v, b in itertools.product(CONSONANTS, VOWELS, "bkt")
    ]
    return rows[::3]


def write(path: Path, text: str) -> Path:
    """A file with `text`."""
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The toy spelling as a dictionary file."""
    return write(tmp_path / "toy.dict", "".join(f"{w} {' '.join(p)}\n" for w, p in toy_rows()))


def test_dictionary_lines(tmp_path: Path) -> None:
    """Variants, comments, stress, capitals and the two blanks of older files are read; odd headwords are passed over."""
    text = (
        ";;; a comment of the older form\n"
        "abandon AH0 B AE1 N D AH0 N\n"
        "'bout B AW1 T # informal, short\n"
        "read R EH1 D\nread(2) R IY1 D\n"
        "\n"
        "aalborg(3) AO1 L B AO0 R G # place, danish\n"
        "ABLE  EY1 B AH0 L\n"
        "a.m. EY2 EH1 M\n"
        "lonely\n"
    )
    assert read_dictionary(write(tmp_path / "odd.dict", text)) == [
        ("abandon", ("AH", "B", "AE", "N", "D", "AH", "N")),
        ("'bout", ("B", "AW", "T")),
        ("read", ("R", "EH", "D")),
        ("read", ("R", "IY", "D")),
        ("aalborg", ("AO", "L", "B", "AO", "R", "G")),
        ("able", ("EY", "B", "AH", "L")),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"word W ER1 D\nstress S T R E1 S\n", "line 2: 'E' is no ARPAbet phoneme"),
        (b"{}\n", "holds no line such as"),
        (b"", "holds no line such as"),
        (b"caf\xe9 K AE0 F EY1\n", "not readable as UTF-8|cannot be read as UTF-8"),
    ],
)
def test_unusable_dictionaries_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Foreign phonemes, files of another kind and other encodings are told by name before anything is trained."""
    path = tmp_path / "bad.dict"
    path.write_bytes(content)
    with pytest.raises(DictionaryError, match=message):
        read_dictionary(path)


def test_missing_dictionary_is_refused(tmp_path: Path) -> None:
    """A dictionary that is not there is told by its path."""
    with pytest.raises(DictionaryError, match=r"absent\.dict"):
        read_dictionary(tmp_path / "absent.dict")


def test_split_is_by_word() -> None:
    """No word is on both sides, variants stay together, and every split with the same seed is the same."""
    rows = [(f"w{a}{b}", (p,)) for a, b in itertools.product("abcdefghij", repeat=2) for p in ("AH", "IY")]
    train, held = split_words(rows, G2pConfig(held_out_share=0.2))
    assert {w for w, _ in train}.isdisjoint(w for w, _ in held)
    assert len(held) == 40
    assert sorted(train + held) == sorted(rows)
    assert split_words(rows, G2pConfig(held_out_share=0.2)) == (train, held)
    assert split_words(rows, G2pConfig(held_out_share=0.2, seed=2)) != (train, held)


def test_rows_that_cannot_fit_are_left_out() -> None:
    """CTC needs one slot a phoneme and a blank between equal neighbours; a word has three slots a letter."""
    fits, crowded = ("w", ("D", "AH", "B")), ("w", ("D", "D", "D"))
    train, held = split_words([fits, crowded, ("x", ("EH", "K", "S", "T"))], G2pConfig(held_out_share=0.0))
    assert train == [fits]
    assert held == []


def test_letters_are_padded() -> None:
    """Shorter words end in zeros, which is no letter."""
    assert letter_ids(["a'", "b"]).tolist() == [[2, 28], [3, 0]]


def test_a_word_is_the_same_beside_any_other() -> None:
    """A pronunciation does not depend on the lengths of the other words of its batch."""
    torch.manual_seed(2)
    model = GraphemeToPhoneme(SMALL).eval()
    with torch.no_grad():
        alone = model(letter_ids(["bat"]))
        beside = model(letter_ids(["bat", "battlements"]))[:1, :9]
    torch.testing.assert_close(beside, alone, atol=1e-5, rtol=1e-4)


def test_a_toy_spelling_is_learnt(toy: Path, tmp_path: Path) -> None:
    """Sixty regular words are pronounced right after seconds of training."""
    model = train_g2p(toy, tmp_path / "out", SMALL)
    rows = toy_rows()
    assert len(rows) == 60
    assert word_accuracy(model, rows) > 0.9
    log = [json.loads(line) for line in (tmp_path / "out" / "g2p.jsonl").read_text("utf-8").splitlines()]
    losses = [row["loss"] for row in log if row["kind"] == "step"]
    accuracies = [row["train_word_accuracy"] for row in log if row["kind"] == "evaluation"]
    assert len(losses) == len(accuracies) == SMALL.epochs
    assert losses[-1] < 0.2 * losses[0]
    assert accuracies[-1] == word_accuracy(model, rows)


class KilledError(Exception):
    """Stands for a kill."""


def test_resumed_training_ends_the_same(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run killed in its third epoch and started again ends with exactly the weights of an unbroken one."""
    config = G2pConfig(width=16, layers=1, heads=2, batch_words=20, epochs=4, warmup_steps=3, held_out_share=0.1)
    whole = train_g2p(toy, tmp_path / "whole", config).state_dict()
    steps = itertools.count()

    def die_at_step_8(log_probs: Tensor, said: Pronounced) -> Losses:
        if next(steps) == 7:
            raise KilledError
        return pronouncing_loss(log_probs, said)

    monkeypatch.setattr("training.compact.g2p.pronouncing_loss", die_at_step_8)
    with pytest.raises(KilledError):
        train_g2p(toy, tmp_path / "broken", config)
    assert (tmp_path / "broken/g2p.resume/LATEST").exists()
    resumed = train_g2p(toy, tmp_path / "broken", config).state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_finished_training_is_not_run_again(toy: Path, tmp_path: Path) -> None:
    """The same command reads what is there; for more epochs it trains anew."""
    config = G2pConfig(width=16, layers=1, heads=2, batch_words=20, epochs=1, warmup_steps=3)
    first = train_g2p(toy, tmp_path, config).state_dict()
    written = (tmp_path / "g2p.pt").stat().st_mtime_ns
    again = train_g2p(toy, tmp_path, config).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert (tmp_path / "g2p.pt").stat().st_mtime_ns == written
    longer = train_g2p(toy, tmp_path, replace(config, epochs=2)).state_dict()
    assert not torch.equal(first["out.weight"], longer["out.weight"])
