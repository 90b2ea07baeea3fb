"""What the columns of a table, or the fields of a JSON object, mean by their names."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["term", "translation", "aliases", "pronunciations", "id", "note"]

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("term", "terms", "source", "source_term", "source_text", "keyword", "word", "phrase"), "term"),
    **dict.fromkeys(("translation", "translations", "target_translations", "target", "target_term"), "translation"),
    **dict.fromkeys(("alias", "aliases", "synonym", "synonyms", "variant", "variants"), "aliases"),
    **dict.fromkeys(("pronunciation", "pronunciations", "arpabet"), "pronunciations"),
    **dict.fromkeys(("id", "entry_id", "row_id"), "id"),
    **dict.fromkeys(("note", "notes", "comment", "comments", "definition", "description", "short_description"), "note"),
}
_LIST_HEADERS = frozenset({"term", "terms", "source", "source_term", "keyword", "keywords"})
# Code -> its name in English, in the language itself and, where authors write it so, in German.
_LANGUAGE_NAMES = {
    "ar": ("arabic", "العربية", "عربي", "arabisch"),
    "bg": ("bulgarian", "български", "bulgarisch"),
    "cs": ("czech", "čeština", "česky", "tschechisch"),
    "da": ("danish", "dansk", "dänisch"),
    "de": ("german", "deutsch"),
    "el": ("greek", "ελληνικά", "griechisch"),
    "en": ("english", "englisch"),
    "es": ("spanish", "español", "castellano", "spanisch"),
    "fa": ("persian", "farsi", "فارسی", "persisch"),
    "fi": ("finnish", "suomi", "finnisch"),
    "fr": ("french", "français", "französisch"),
    "he": ("hebrew", "עברית", "hebräisch"),
    "hi": ("hindi", "हिन्दी", "हिंदी"),
    "hu": ("hungarian", "magyar", "ungarisch"),
    "id": ("indonesian", "bahasa indonesia", "indonesisch"),
    "it": ("italian", "italiano", "italienisch"),
    "ja": ("japanese", "日本語", "japanisch"),
    "ko": ("korean", "한국어", "koreanisch"),
    "nl": ("dutch", "nederlands", "niederländisch"),
    "no": ("norwegian", "norsk", "norwegisch"),
    "pl": ("polish", "polski", "polnisch"),
    "pt": ("portuguese", "português", "portugiesisch"),
    "ro": ("romanian", "română", "rumänisch"),
    "ru": ("russian", "русский", "russisch"),
    "sv": ("swedish", "svenska", "schwedisch"),
    "th": ("thai", "ไทย", "ภาษาไทย", "thailändisch"),
    "tr": ("turkish", "türkçe", "türkisch"),
    "uk": ("ukrainian", "українська", "ukrainisch"),
    "vi": ("vietnamese", "tiếng việt", "vietnamesisch"),
    "zh": ("chinese", "中文", "汉语", "漢語", "普通话", "chinesisch"),
    "zh-cn": ("simplified chinese", "简体中文"),
    "zh-tw": ("traditional chinese", "繁體中文"),
}
_LANGUAGES = {name: code for code, names in _LANGUAGE_NAMES.items() for name in names}
# ISO 639-1, so that a stray two-letter word is not taken for a language.
_CODES = frozenset(
    (
        "aa ab af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el "
        "en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it "
        "iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt "
        "my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl "
        "sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo "
        "za zh zu "
    ).split()
)
_REGION = re.compile(r"[a-z]{2,4}|[0-9]{3}")


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a glossary: `source` of its terms, `target` of an unnamed translation ("" where unknown)."""

    source: str = "en"
    target: str = ""


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
    language = language_code(name)
    if not language:
        return None
    return Column("term") if language == language_code(languages.source) else Column("translation", language)


def language_code(name: str) -> str:
    """A language code ("de", "pt-br") or a language's name ("German", "Deutsch") as a lower-case code; "" otherwise."""
    # Accents may be written as characters of their own.
    written = unicodedata.normalize("NFC", name).strip().lower()
    if written in _LANGUAGES:
        return _LANGUAGES[written]
    plain = written.replace("_", "-")
    primary, sign, region = plain.partition("-")
    known = primary in _CODES and (not sign or _REGION.fullmatch(region) is not None)
    return plain if known else ""


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
            None if column == Column("term") and not (_is_term(name) or language_code(name)) else column
            for name, column in zip(names, columns, strict=True)
        ]
    return columns


def _is_term(name: str) -> bool:
    return name.strip().lower() in ("term", "terms")


def split_list(cell: str) -> tuple[str, ...]:
    """Several values in one cell: parted by ";" or "|", else by ","."""
    separator = r"[;|]" if re.search(r"[;|]", cell) else ","
    return tuple(part.strip() for part in re.split(separator, cell) if part.strip())


def split_pronunciations(cell: str) -> tuple[str, ...]:
    """Several pronunciations in one cell, parted by "/"."""
    return tuple(part.strip() for part in cell.split("/") if part.strip())
