"""Glossary entries and their spoken forms, and the lines of `entries.jsonl` that hold them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.symbols import BOUND, PHONEMES, character_sequence, phoneme_sequence


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the glossary; `translations` maps a language code ("" where unknown) to the translation."""

    entry_id: str
    term: str
    translations: Mapping[str, str]
    aliases: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One way in which an entry is spoken.

    `text` is its lower-case words parted by one blank, `characters` int16[n] and `pronunciations` int16[m] each are
    symbol sequences with bounds (`streaming.symbols`). Without pronunciations the characters decide alone.
    """

    entry_index: int
    text: str
    characters: NDArray[np.int16]
    pronunciations: tuple[NDArray[np.int16], ...]


def make_form(entry_index: int, text: str, pronunciations: Iterable[Sequence[Sequence[str]]]) -> Form:
    """Write a form in the symbols of the heads.

    Args:
        entry_index: its entry.
        text: lower-case words (a-z and ') parted by one blank.
        pronunciations: each one ARPAbet tuple per word, stress digits allowed.

    Raises:
        KeyError: a letter or phoneme outside the alphabets.
    """
    return Form(
        entry_index,
        text,
        character_sequence(text.split(" ")),
        tuple(phoneme_sequence([tuple(word) for word in words]) for words in pronunciations),
    )


def arpabet(ids: NDArray[np.int16]) -> str:
    """A phoneme sequence with bounds as text: symbols parted by blanks, words by " | "."""
    return " ".join("|" if i == BOUND else PHONEMES[i] for i in ids[1:-1].tolist())


def _words_of_arpabet(text: str) -> list[list[str]]:
    return [word.split() for word in text.split("|")]


def render_entries(entries: Sequence[Entry], forms: Iterable[Form]) -> bytes:
    """One JSON line per entry, its forms inside; `forms` point into `entries`."""
    rows: list[dict[str, Any]] = [
        {
            "entry_id": entry.entry_id,
            "term": entry.term,
            "translations": dict(entry.translations),
            **({"aliases": list(entry.aliases)} if entry.aliases else {}),
            **({"note": entry.note} if entry.note else {}),
            "forms": [],
        }
        for entry in entries
    ]
    for form in forms:
        rows[form.entry_index]["forms"].append(
            {"text": form.text, "pronunciations": [arpabet(ids) for ids in form.pronunciations]}
        )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parse_entries(content: bytes) -> tuple[tuple[Entry, ...], tuple[Form, ...]]:
    """The reverse of `render_entries`.

    Raises:
        ValueError: a line is not JSON.
        KeyError: a field is missing, or a symbol is not in the alphabets.
        TypeError: a field is of another type.
    """
    entries: list[Entry] = []
    forms: list[Form] = []
    # Not str.splitlines: a term may hold U+2028, which is no end of line in JSON.
    for line in content.decode().removesuffix("\n").split("\n"):
        row = json.loads(line)
        for form in row["forms"]:
            forms.append(make_form(len(entries), form["text"], [_words_of_arpabet(p) for p in form["pronunciations"]]))
        entries.append(
            Entry(row["entry_id"], row["term"], row["translations"], tuple(row.get("aliases", ())), row.get("note", ""))
        )
    return tuple(entries), tuple(forms)
