"""The glossary of a training: terms with descriptions, translations and aliases, and which of them are variants."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import ijson

from streaming.errors import GlossaryError
from training.corpus.keys import key_of, normal_form
from training.corpus.nesting import ShallowStream

_BOM = b"\xef\xbb\xbf"
_OPENING = 4_096
_JSON_OPENINGS = (b"{", b"[")


@dataclass(frozen=True, slots=True)
class TrainingTerm:
    """A term, what it means ("" where unknown), its translations by language, and its other names."""

    term: str
    description: str = ""
    translations: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


class TrainingGlossary:
    """Terms by their normal forms, and the groups of those that must never be negatives of each other.

    One group are: a term, its aliases and its translations; terms that share an alias; terms whose translations all
    agree; and forms that differ in a plural ending of their last word. A translation that two terms share without
    agreeing in all others does not join them: through words of several senses such links would join everything.

    Args:
        terms: in order; of equal normal forms the first one is kept, and the names of the others are added to it.
        aliases: other name -> term; a term that is no entry joins the names all the same.
    """

    def __init__(self, terms: Iterable[TrainingTerm], aliases: Mapping[str, str] | None = None) -> None:
        self._terms: dict[str, TrainingTerm] = {}
        self._main: dict[str, str] = {}
        self._groups = _Groups()
        by_translations: dict[tuple[tuple[str, str], ...], str] = {}
        translated: list[tuple[str, str]] = []
        for entry in terms:
            form = normal_form(entry.term)
            if not form:
                continue
            self._terms.setdefault(form, entry)
            self._groups.join(form, _singular(form))
            for alias in entry.aliases:
                self._name(normal_form(alias), form)
            if said := tuple(sorted((code, normal_form(text)) for code, text in entry.translations.items() if text)):
                self._groups.join(by_translations.setdefault(said, form), form)
                translated += [(form, text) for _, text in said]
        for alias, main in (aliases or {}).items():
            form = normal_form(main)
            # An alias file names the keys of the glossary, which may be other names of their terms.
            self._name(normal_form(alias), form if form in self._terms else self._main.get(form, form))
        for form, text in translated:
            if text not in self._groups:
                self._groups.join(form, text)

    def _name(self, alias: str, form: str) -> None:
        if alias and form:
            self._main.setdefault(alias, form)
            self._groups.join(form, alias)
            self._groups.join(alias, _singular(alias))

    def __len__(self) -> int:
        return len(self._terms)

    @property
    def terms(self) -> tuple[TrainingTerm, ...]:
        """Every entry, in order."""
        return tuple(self._terms.values())

    def find(self, text: str) -> TrainingTerm | None:
        """The entry that is called so, also by an alias, or in the singular."""
        form = normal_form(text)
        found = (self._terms.get(name) or self._terms.get(self._main.get(name, "")) for name in (form, _singular(form)))
        return next(filter(None, found), None)

    def group_of(self, form: str) -> int:
        """63 bits that all variants, aliases and translations of a term share; any text has some, and always the same.

        Args:
            form: a text; its normal form counts.
        """
        form = normal_form(form)
        return key_of(self._groups.first_of(form if form in self._groups else _singular(form)))

    def text_of(self, term: str, text_field: Literal["term", "short_description"] = "term") -> str:
        """What the text tower reads for a term: itself, or its description where there is one."""
        entry = self.find(term)
        return entry.description if text_field == "short_description" and entry and entry.description else term

    def forms(self) -> Iterator[tuple[str, str]]:
        """(how it is said, its term) of every entry, terms before aliases, as a matcher wants it."""
        for entry in self._terms.values():
            yield entry.term, entry.term
        for alias, form in self._main.items():
            if form in self._terms:
                yield alias, self._terms[form].term


class _Groups:
    """Disjoint sets of texts (union by first come, paths halved)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def __contains__(self, text: str) -> bool:
        return text in self._parent

    def first_of(self, text: str) -> str:
        while (parent := self._parent.get(text, text)) != text:
            self._parent[text] = text = self._parent[parent]
        return text

    def join(self, one: str, other: str) -> None:
        self._parent.setdefault(one, one)
        self._parent.setdefault(other, other)
        # The lesser text stands for the set, so that the order of the glossary changes no group.
        first, second = sorted((self.first_of(one), self.first_of(other)))
        self._parent[second] = first


def _singular(form: str) -> str:
    """A form without the plural ending of its last word; crude, for it only keeps pairs from being negatives."""
    if form.endswith("ies") and len(form) > 5:
        return form[:-3] + "y"
    if form.endswith(("ses", "xes", "zes", "ches", "shes")):
        return form[:-2]
    is_plural = form.endswith("s") and not form.endswith(("ss", "us", "is")) and len(form) > 3
    return form[:-1] if is_plural else form


def read_training_glossary(path: Path, aliases: Path | None = None) -> TrainingGlossary:
    """`glossary_filtered.json` (an object keyed by term, or a list of objects or texts) or one term a line in a .txt.

    Args:
        path: read entry by entry, never whole.
        aliases: `alt2main.json`, an object of alias -> main key.

    Raises:
        GlossaryError: a file that cannot be read, or an entry of another kind; names file, entry and cure.
    """
    others = dict(_aliases(aliases)) if aliases else {}
    glossary = TrainingGlossary(_entries(path), others)
    if not len(glossary):
        raise GlossaryError(f"{path} holds no term; name a glossary with at least one")
    return glossary


def is_training_form(path: Path) -> bool:
    """Whether `read_training_glossary` takes a file: a .txt, or JSON that begins as `glossary_filtered.json` does.

    Only the first entry is looked at. JSON of other keys, or of term -> translation, is none, and no table is.

    Raises:
        GlossaryError: a file that cannot be read, or that begins as JSON and is not.
    """
    if path.suffix == ".txt":
        return True
    with _opened(path) as stream:
        start = stream.tell()
        opening = stream.read(_OPENING).lstrip()[:1]
        stream.seek(start)
        # A file that calls itself JSON is no table: what is wrong with it is for the reader to tell.
        if opening not in _JSON_OPENINGS:
            return path.suffix == ".json"
        key, value = next(_members(path, stream), ("", ""))
    return bool(key or "term" in value) if isinstance(value, Mapping) else isinstance(value, str) and not key


def _entries(path: Path) -> Iterator[TrainingTerm]:
    with _opened(path) as stream:
        if path.suffix == ".txt":
            yield from (TrainingTerm(line) for line in _lines(path, stream))
            return
        for number, (key, value) in enumerate(_members(path, stream), 1):
            yield _entry(key, value, f"{path}, entry {number}")


def _lines(path: Path, stream: BinaryIO) -> Iterator[str]:
    try:
        yield from filter(None, (line.decode().strip() for line in stream))
    except UnicodeDecodeError as error:
        raise GlossaryError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error


def _opened(path: Path) -> BinaryIO:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise GlossaryError(f"cannot read the glossary {path}: {error.strerror}; check its name") from error
    if stream.read(3) != _BOM:
        stream.seek(0)
    return stream


def _members(path: Path, stream: BinaryIO) -> Iterator[tuple[str, Any]]:
    """(key, value) of the top-level object, or ("", value) of the list."""
    start = stream.tell()
    opening = stream.read(_OPENING).lstrip()[:1]
    stream.seek(start)
    if opening not in _JSON_OPENINGS:
        raise GlossaryError(f"{path} is no JSON object or list of terms; name a file such as glossary_filtered.json")
    try:
        if opening == b"{":
            yield from ijson.kvitems(ShallowStream(stream), "", use_float=True)
        else:
            yield from (("", value) for value in ijson.items(ShallowStream(stream), "item", use_float=True))
    except (ijson.JSONError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise GlossaryError(f"{path} is not sound JSON ({said}); restore it") from error


def _entry(key: str, value: object, place: str) -> TrainingTerm:
    if isinstance(value, str) and not key:
        return TrainingTerm(value.strip())
    if not isinstance(value, Mapping):
        raise GlossaryError(f"{place} ({key or str(value)[:80]!r}) is no object with a term; mend or remove it")
    term, description = value.get("term") or key, value.get("short_description") or ""
    translations, aliases = value.get("target_translations") or {}, value.get("aliases") or []
    if not isinstance(term, str) or not isinstance(description, str) or not isinstance(translations, Mapping):
        raise GlossaryError(
            f"{place} ({key or str(term)[:80]!r}): term and short_description are texts, target_translations is an "
            "object of texts; mend or remove it"
        )
    if not isinstance(aliases, list):
        raise GlossaryError(f"{place} ({term!r}): aliases is {aliases!r}, not a list of texts; mend it")
    return TrainingTerm(
        term.strip(),
        description.strip(),
        {str(code): text for code, text in translations.items() if isinstance(text, str) and text.strip()},
        (*(str(alias) for alias in aliases), *([key] if key and normal_form(key) != normal_form(term) else [])),
    )


def _aliases(path: Path) -> Iterator[tuple[str, str]]:
    with _opened(path) as stream:
        for alias, main in _members(path, stream):
            if not alias or not isinstance(main, str):
                raise GlossaryError(f'{path}: {alias!r}: {main!r} is no "alias": "main term"; mend or remove it')
            yield alias, main
