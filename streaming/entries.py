"""Glossary entries and their spoken forms, and the lines of `entries.jsonl` that hold them."""

import itertools
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.symbols import BOUND, PHONEMES, character_sequence, phoneme_sequence


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
    return " | ".join(map(_arpabet_of_word, np.asarray(ids, np.int16).tobytes().split(_BOUND_BYTES)[1:-1]))


# The words of a large glossary come again and again.
@lru_cache(1 << 16)
def _arpabet_of_word(ids: bytes) -> str:
    return " ".join([PHONEMES[i] for i in np.frombuffer(ids, np.int16).tolist()])


# Ids have one byte that is not 0, so that these two stand nowhere but where a bound does.
_BOUND_BYTES = np.int16(BOUND).tobytes()


def _words_of_arpabet(text: str) -> list[list[str]]:
    return [word.split() for word in text.split("|")]


def render_line(entry: Entry, forms: Iterable[Form]) -> bytes:
    """The line of `entries.jsonl` that holds an entry and its forms, end of line included."""
    # By hand: a large glossary has a million of them, and `json` is made for any value.
    translations = ", ".join([f"{_quoted(lang)}: {_quoted(text)}" for lang, text in entry.translations.items()])
    more = "".join([f", {_quoted(name)}: {_ENCODER.encode(value)}" for name, value in _options_of(entry)])
    said = ", ".join([_render_form(form, entry.term) for form in forms])
    return (
        f'{{"entry_id": {_quoted(entry.entry_id)}, "term": {_quoted(entry.term)}, "translations": {{{translations}}}'
        f'{more}, "forms": [{said}]}}\n'
    ).encode()


def _render_form(form: Form, term: str) -> str:
    # The symbols of ARPAbet need no quoting.
    said = ", ".join([f'"{arpabet(ids)}"' for ids in form.pronunciations])
    kind = "" if form.kind == "term" else f', "kind": {_quoted(form.kind)}'
    written = "" if form.written == term else f', "written": {_quoted(form.written)}'
    return f'{{"text": {_quoted(form.text)}, "pronunciations": [{said}]{kind}{written}}}'


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
    lines, counts = [], []
    owned = itertools.groupby(forms, operator.attrgetter("entry_index"))
    for entry, (_, group) in zip(entries, owned, strict=True):
        said = tuple(group)
        lines.append(render_line(entry, said))
        counts.append(len(said))
    offsets = np.zeros((len(lines) + 1, 2), np.int64)
    offsets[1:, 0] = np.cumsum([len(line) for line in lines])
    offsets[1:, 1] = np.cumsum(counts)
    return lines, offsets


def parse_entries(content: bytes) -> tuple[tuple[Entry, ...], tuple[Form, ...]]:
    """The entries and forms of such lines, joined. Raises what `parse_line` raises."""
    # Not splitlines: a term may hold a control character that ends no line in JSON.
    parsed = [parse_line(line, i) for i, line in enumerate(content.removesuffix(b"\n").split(b"\n"))]
    return tuple(entry for entry, _ in parsed), tuple(form for _, forms in parsed for form in forms)


def _options_of(entry: Entry) -> list[tuple[str, object]]:
    """The names and values of an entry's fields that may be left out and have not their default."""
    return [(name, value) for name, default in _OPTIONAL if (value := getattr(entry, name)) != default]


# One for all lines: `json.dumps` would make one for each.
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_OPTIONAL = tuple((f.name, f.default) for f in fields(Entry) if f.name not in ("entry_id", "term", "translations"))
