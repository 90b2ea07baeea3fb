"""What the columns of a table, or the fields of a JSON object, mean by their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from index_builder.formats.languages import Languages, as_code, is_spoken_in, language_code

Role: TypeAlias = Literal[
    "term",
    "translation",
    "aliases",
    "pronunciations",
    "id",
    "note",
    "domain",
    "source_lang",
    "do_not_hint",
    "minimum_probability",
]

_NAMES: dict[Role, str] = {
    "term": "term terms source source_term source_text keyword word phrase begriff fachbegriff terme término 术语 用語",
    "translation": (
        "translation translations target_translations target target_term target_text übersetzung übersetzungen "
        "traduction traducción traduzione 译文 翻译 訳語"
    ),
    "aliases": (
        "alias aliases synonym synonyms synonyme variant variants abbreviation abbreviations acronym acronyms abkürzung"
    ),
    "pronunciations": "pronunciation pronunciations arpabet aussprache",
    "id": "id entry_id row_id",
    "note": (
        "note notes comment comments definition definitions description short_description bemerkung anmerkung "
        "kommentar 备注"
    ),
    "domain": "domain subject subject_field category topic fachgebiet sachgebiet thema",
    "source_lang": "source_lang source_language term_lang",
    "do_not_hint": "do_not_hint no_hint mute muted",
    "minimum_probability": "minimum_probability min_probability min_prob",
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names.split()}
_LIST_HEADERS = frozenset({"term", "terms", "source", "source_term", "keyword", "keywords", "begriff"})
# Words that may stand beside a language in a heading ("English term", "Begriff (DE)").
_BESIDE_LANGUAGE = frozenset("term terms translation text name word source target begriff übersetzung".split())
# Beside a word these are no languages: "Term No.", "source id", "is a term".
_NO_LANGUAGE = frozenset({"no", "id", "is"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is understood; `language` only for a translation."""

    role: Role
    language: str = ""


def column_of(name: str, languages: Languages) -> Column | None:
    """The meaning of a column name, in any case; None where it has none."""
    plain = re.sub(r"[\s_-]+", "_", name.strip().lower())
    # "id" is Indonesian too; as the name of a column it is an identifier.
    if (role := _ROLES.get(plain)) is not None:
        return Column(role, languages.target if role == "translation" else "")
    if (column := _named_translation(name)) is not None:
        return column
    language = language_code(name) or _language_beside_a_word(name)
    if not language:
        return None
    return Column("term") if is_spoken_in(language, languages.source) else Column("translation", language)


def _named_translation(name: str) -> Column | None:
    """The meaning of "translation:LANGUAGE", in which any language may stand, or "translation_LANGUAGE"."""
    found = re.fullmatch(r"\s*(?:translation|target)\s*([:_])\s*(.+)", name, re.IGNORECASE | re.DOTALL)
    if found is None or not (found[1] == ":" or language_code(found[2])):
        return None
    return Column("translation", as_code(found[2]))


def _language_beside_a_word(name: str) -> str:
    """The language in a heading such as "English term" or "Begriff (DE)"; "" where it is another heading."""
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word]
    codes = [code for word in words if word not in _NO_LANGUAGE and (code := language_code(word))]
    others = [word for word in words if word in _BESIDE_LANGUAGE]
    return codes[0] if len(codes) == 1 and others and len(others) + 1 == len(words) else ""


def is_header(cells: Sequence[str], languages: Languages) -> bool:
    """Whether the first row of a table names its columns: one of them must be the term's, or all must be known."""
    names = [cell for cell in cells if cell.strip()]
    columns = [column_of(name, languages) for name in names]
    if len(names) == 1:
        # A bare list may well begin with the term "word" or "English".
        return names[0].strip().lower() in _LIST_HEADERS
    if any(column is not None and column.role == "term" for column in columns):
        return True
    return bool(columns) and all(columns)


def columns_of(names: Sequence[str], languages: Languages) -> list[Column | None]:
    """The meaning of each name, in order.

    Beside a column "term", one named "source" or "keyword" says something else (where the term is from, say).
    """
    columns = [column_of(name, languages) for name in names]
    if any(_is_term(name) for name in names):
        return [
            None if column == Column("term") and not (_is_term(name) or _names_language(name)) else column
            for name, column in zip(names, columns, strict=True)
        ]
    return columns


def _is_term(name: str) -> bool:
    return name.strip().lower() in ("term", "terms")


def _names_language(name: str) -> bool:
    return bool(language_code(name) or _language_beside_a_word(name))
