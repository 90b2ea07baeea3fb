"""Glossary entries and their spoken forms, and the lines of `entries.jsonl` that hold them."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.symbols import PHONEMES, character_sequence, phoneme_sequence


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the glossary.

    Attributes:
        entry_id: unique in the glossary.
        term: as it is written.
        translations: language code ("" where unknown) -> translation.
        aliases: other names of the same thing.
        note: anything that its reader should know.
        source_lang: language code of the term.
        domain: the field it belongs to.
        pronunciations: ARPAbet texts as the author wrote them, words parted by "|".
        do_not_hint: it is listened for, so that no other entry takes its place, and never shown.
        minimum_probability: under which it gives no hint, whatever the threshold; 0 to 1.
    """

    entry_id: str
    term: str
    translations: Mapping[str, str]
    aliases: tuple[str, ...] = ()
    note: str = ""
    source_lang: str = "en"
    domain: str = ""
    pronunciations: tuple[str, ...] = ()
    do_not_hint: bool = False
    minimum_probability: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One way in which an entry is spoken.

    `text` is its lower-case words parted by one blank, `characters` int16[n] and `pronunciations` int16[m] each are
    symbol sequences with bounds (`streaming.symbols`). Without pronunciations the characters decide alone.
    `written` is the term or alias that it says and `kind` how it came from it ("term", "alias", "plural",
    "possessive", "abbreviation", "number", ...), so that each can be traced to what its author wrote.
    """

    entry_index: int
    text: str
    characters: NDArray[np.int16]
    pronunciations: tuple[NDArray[np.int16], ...]
    kind: str = "term"
    written: str = ""


def make_form(
    entry_index: int,
    text: str,
    pronunciations: Iterable[Sequence[Sequence[str]]],
    kind: str = "term",
    written: str = "",
) -> Form:
    """Write a form in the symbols of the heads.

    Args:
        entry_index: its entry.
        text: lower-case words (a-z and ') parted by one blank.
        pronunciations: each one ARPAbet tuple per word, stress digits allowed.
        kind: how it came from what was written.
        written: the term or alias that it says.

    Raises:
        KeyError: a letter or phoneme outside the alphabets.
    """
    return Form(
        entry_index,
        text,
        character_sequence(text.split(" ")),
        tuple(phoneme_sequence([tuple(word) for word in words]) for words in pronunciations),
        kind,
        written,
    )


def arpabet(ids: NDArray[np.int16]) -> str:
    """A phoneme sequence with bounds as text: symbols parted by blanks, words by " | "."""
    return " ".join([PHONEMES[i] for i in ids[1:-1].tolist()])


def _words_of_arpabet(text: str) -> list[list[str]]:
    return [word.split() for word in text.split("|")]


def render_line(entry: Entry, forms: Iterable[Form]) -> bytes:
    """The line of `entries.jsonl` that holds an entry and its forms, end of line included."""
    said: list[dict[str, Any]] = []
    for form in forms:
        row: dict[str, Any] = {"text": form.text, "pronunciations": [arpabet(ids) for ids in form.pronunciations]}
        if form.kind != "term":
            row["kind"] = form.kind
        if form.written != entry.term:
            row["written"] = form.written
        said.append(row)
    return _ENCODER.encode({**_row_of(entry), "forms": said}).encode() + b"\n"


def parse_line(line: bytes, entry_index: int) -> tuple[Entry, tuple[Form, ...]]:
    """The reverse of `render_line`; the forms get `entry_index`.

    Raises:
        ValueError: it is not JSON.
        KeyError: a field is missing, or a symbol is not in the alphabets.
        TypeError: a field is of another type.
    """
    row = json.loads(line)
    forms = []
    for form in row.pop("forms"):
        said = [_words_of_arpabet(p) for p in form["pronunciations"]]
        kind, written = form.get("kind", "term"), form.get("written", row["term"])
        forms.append(make_form(entry_index, form["text"], said, kind, written))
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}
    return Entry(**values), tuple(forms)


def render_lines(entries: Sequence[Entry], forms: Iterable[Form]) -> tuple[list[bytes], NDArray[np.int64]]:
    """The lines of entries whose forms are grouped, and where each line and its first form begin: int64[n + 1, 2].

    Both are gone through once and in turn, so that a large loaded index parses few lines twice.
    """
    lines, offsets = [], np.zeros((len(entries) + 1, 2), np.int64)
    owned = itertools.groupby(forms, lambda form: form.entry_index)
    for number, (entry, (_, group)) in enumerate(zip(entries, owned, strict=True), 1):
        said = tuple(group)
        lines.append(render_line(entry, said))
        offsets[number] = offsets[number - 1] + (len(lines[-1]), len(said))
    return lines, offsets


def parse_entries(content: bytes) -> tuple[tuple[Entry, ...], tuple[Form, ...]]:
    """The entries and forms of such lines, joined. Raises what `parse_line` raises."""
    # Not splitlines: a term may hold a control character that ends no line in JSON.
    parsed = [parse_line(line, i) for i, line in enumerate(content.removesuffix(b"\n").split(b"\n"))]
    return tuple(entry for entry, _ in parsed), tuple(form for _, forms in parsed for form in forms)


def _row_of(entry: Entry) -> dict[str, Any]:
    """The fields of an entry by name, without those that have their default."""
    row = {"entry_id": entry.entry_id, "term": entry.term, "translations": dict(entry.translations)}
    for name, default in _OPTIONAL:
        if (value := getattr(entry, name)) != default:
            row[name] = list(value) if isinstance(value, tuple) else value
    return row


# One for all lines: `json.dumps` would make one for each.
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_OPTIONAL = tuple((f.name, f.default) for f in fields(Entry) if f.name not in ("entry_id", "term", "translations"))
