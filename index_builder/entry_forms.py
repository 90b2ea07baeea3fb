"""The spoken forms of an entry: those of its term and aliases, and of these plural, possessive and joined prefixes."""

import itertools
from collections.abc import Iterator, Sequence

from index_builder.inflections import inflected, is_name, without_hyphen
from index_builder.pronounce import Pronunciation, SpokenForm
from index_builder.surface import is_said_as_written, surface_forms

MAX_FORMS = 64
# Forms of one written text that are inflected; those after them are said too seldom.
_INFLECTED_FORMS = 2
_READ_OUT = ("number", "symbol")
_SIBILANTS = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_VOICELESS = frozenset(("P", "T", "K", "F", "TH"))


def written_forms(term: str, aliases: Sequence[str]) -> list[SpokenForm]:
    """How a term and its aliases are said as they are written, the term's forms first, no text twice."""
    if not aliases and is_said_as_written(term):
        return [SpokenForm(term, (), "term", term)]
    forms: dict[str, SpokenForm] = {}
    for written in (term, *aliases):
        for form in surface_forms(written):
            kind = "alias" if form.kind == "term" and written != term else form.kind
            forms.setdefault(form.text, SpokenForm(form.text, (), kind, written))
    return list(forms.values())


def inflected_forms(forms: Sequence[SpokenForm]) -> list[SpokenForm]:
    """The inflections of an entry's forms, none that is there already; together at most `MAX_FORMS`."""
    found: dict[str, SpokenForm] = {}
    for _, of_one in itertools.groupby(forms, key=lambda form: form.written):
        for form in itertools.islice(of_one, _INFLECTED_FORMS):
            for each in _inflections_of(form):
                found.setdefault(each.text, each)
    known = {form.text for form in forms}
    fresh = [form for text, form in found.items() if text not in known]
    return fresh[: max(0, MAX_FORMS - len(forms))]


def _inflections_of(form: SpokenForm) -> Iterator[SpokenForm]:
    if form.kind in _READ_OUT:
        return
    joined = without_hyphen(form.written)
    if joined and form.kind in ("term", "alias"):
        for said in surface_forms(joined)[:1]:
            yield SpokenForm(said.text, (), "hyphen", form.written)
    for text, kind in inflected(form.text, is_name=is_name(form.written)):
        given = tuple(_with_ending(said) for said in form.given) if text.startswith(form.text) else ()
        yield SpokenForm(text, given, kind, form.written)


def _with_ending(pronunciation: Pronunciation) -> Pronunciation:
    """A pronunciation with the regular ending of plural and possessive after its last sound."""
    *start, last = pronunciation
    sound = last[-1]
    ending = ("IH", "Z") if sound in _SIBILANTS else ("S",) if sound in _VOICELESS else ("Z",)
    return (*start, last + ending)
