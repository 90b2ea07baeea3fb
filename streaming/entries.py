"""Glossary entries and their spoken forms, and the lines of `entries.jsonl` that hold them."""

import itertools
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.records import record, unique_record
from streaming.symbols import PHONEMES, character_sequence, phoneme_sequence

# What a stream's hops ask for again and again, some hundred bytes each.
_SEQUENCES_KEPT = 1 << 14


@record
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


@unique_record
class Form:
    """One way in which an entry is spoken.

    `text` is its lower-case words parted by one blank, `said` its pronunciations in ARPAbet without stress, symbols
    parted by blanks and words by " | ". Without pronunciations the characters decide alone.
    `written` is the term or alias that it says and `kind` how it came from it ("term", "alias", "plural",
    "possessive", "abbreviation", "number", ...), so that each can be traced to what its author wrote.
    """

    entry_index: int
    text: str
    said: tuple[str, ...]
    kind: str = "term"
    written: str = ""

    @property
    def characters(self) -> NDArray[np.int16]:
        """The text as int16[n] character ids with bounds (`streaming.symbols`), shared by all who ask: read only."""
        return _characters_of(self.text)

    @property
    def pronunciations(self) -> tuple[NDArray[np.int16], ...]:
        """Each pronunciation as int16[m] phoneme ids with bounds, shared by all who ask: read only."""
        return tuple([_phonemes_of(text) for text in self.said])


def make_form(
    entry_index: int,
    text: str,
    pronunciations: Iterable[Sequence[Sequence[str]]],
    kind: str = "term",
    written: str = "",
) -> Form:
    """Make a form that can be written in the symbols of the heads.

    Args:
        entry_index: its entry.
        text: lower-case words (a-z and ') parted by one blank.
        pronunciations: each one ARPAbet tuple per word, stress digits allowed.
        kind: how it came from what was written.
        written: the term or alias that it says.

    Raises:
        KeyError: a letter or phoneme outside the alphabets.
    """
    said = tuple(arpabet(phoneme_sequence([tuple(word) for word in words])) for words in pronunciations)
    form = Form(entry_index, text, said, kind, written)
    _characters_of(text)
    return form


def arpabet(ids: NDArray[np.int16]) -> str:
    """A phoneme sequence with bounds as text: symbols parted by blanks, words by " | "."""
    return " ".join([PHONEMES[i] for i in np.asarray(ids, np.int16)[1:-1].tolist()])


@lru_cache(_SEQUENCES_KEPT)
def _characters_of(text: str) -> NDArray[np.int16]:
    return _read_only(character_sequence(text.split(" ")))


@lru_cache(_SEQUENCES_KEPT)
def _phonemes_of(said: str) -> NDArray[np.int16]:
    return _read_only(phoneme_sequence(words_of_arpabet(said)))


def _read_only(ids: NDArray[np.int16]) -> NDArray[np.int16]:
    ids.flags.writeable = False
    return ids


def words_of_arpabet(text: str) -> list[tuple[str, ...]]:
    """The symbols of each word of a pronunciation."""
    return [tuple(word.split()) for word in text.split("|")]


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
    said = ", ".join([f'"{way}"' for way in form.said])
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
        said = [words_of_arpabet(way) for way in form["pronunciations"]]
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
    values = _optional_values(entry)
    if values == _DEFAULTS:
        return []
    given = zip(_OPTIONAL, values, _DEFAULTS, strict=True)
    return [(name, value) for name, value, default in given if value != default]


# One for all lines: `json.dumps` would make one for each.
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_REQUIRED = frozenset({"entry_id", "term", "translations"})
_OPTIONAL = tuple(f.name for f in fields(Entry) if f.name not in _REQUIRED)
_DEFAULTS = tuple(f.default for f in fields(Entry) if f.name not in _REQUIRED)
_optional_values = operator.attrgetter(*_OPTIONAL)
