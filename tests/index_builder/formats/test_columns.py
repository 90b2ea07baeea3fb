"""What headings mean."""

import pytest

from index_builder.formats.columns import Column, column_of
from index_builder.formats.languages import Languages, as_code, is_spoken_in, language_code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *[("DE", "de"), ("pt_BR", "pt-br"), ("xx", ""), ("de-", ""), ("de-!", ""), ("Klingon", "")],
        *[("Chinese", "zh"), ("中文", "zh"), ("Chinesisch", "zh"), ("简体中文", "zh-cn"), ("German", "de")],
        *[
            ("Deutsch", "de"),
            ("deu", "de"),
            ("zh-Hant-TW", "zh-hant-tw"),
            ("Español", "es"),
            ("Espan\u0303ol", "es"),
            ("FRANÇAIS", "fr"),
            ("tiếng Việt", "vi"),
        ],
    ],
)
def test_language_codes(name: str, code: str) -> None:
    """Codes with a region, English names and a language's own name, however its accents are written."""
    assert language_code(name) == code


def test_column_names_do_not_depend_on_case_or_blanks() -> None:
    """The column of terms is found as " Source Term " too."""
    column = column_of(" Source Term ", Languages())
    assert column is not None
    assert column.role == "term"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("English term", Column("term")),
        ("Begriff (EN)", Column("term")),
        ("Term DE", Column("translation", "de")),
        ("German translation", Column("translation", "de")),
        ("translation_fr", Column("translation", "fr")),
        ("Translation: pt-BR", Column("translation", "pt-br")),
        ("translation:Klingon", Column("translation", "Klingon")),
        ("translation:en", Column("translation", "en")),
        ("Übersetzung", Column("translation", "de")),
        ("Subject field", Column("domain")),
        ("Do not hint", Column("do_not_hint")),
        ("Source language", Column("source_lang")),
        *[(name, None) for name in ("Term No.", "translation_notes", "German notes", "English German", "")],
    ],
)
def test_headings(name: str, column: Column | None) -> None:
    """Roles, a language beside a word, and translations that name theirs."""
    assert column_of(name, Languages("en", "de")) == column


@pytest.mark.parametrize(
    ("language", "source", "spoken"),
    [("en", "en", True), ("en-US", "en", True), ("en", "en-us", False), ("de", "en", False), ("und", "en", False)],
)
def test_a_region_of_the_source_language_is_it(language: str, source: str, spoken: bool) -> None:
    """English of the USA is English, but who asks for it does not want any other."""
    assert is_spoken_in(language, source) is spoken


def test_codes_are_printable() -> None:
    """A language that nobody knows keeps its name, without control characters."""
    assert as_code(" Kling\x00on\ttongue ") == "Klingon tongue"
    assert as_code("UND") == ""
