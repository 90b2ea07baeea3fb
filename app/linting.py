"""The lint of a glossary with a model's ears: its word frequencies, its pronunciations, its text vectors."""

import math
from dataclasses import replace

import numpy as np

from app.progress import progress_bar
from index_builder.embed import embed_texts
from index_builder.formats import GlossaryWarning
from index_builder.glossary import Glossary
from index_builder.lint import WordLogProb, lint
from index_builder.lint_sound import Sounds, are_compared
from index_builder.pronounce import pronounce_forms
from index_builder.report import IndexReport
from streaming.encoder import OnnxTextEncoder
from streaming.encoding.providers import Provider
from streaming.entries import make_form
from streaming.grapheme import OnnxPronouncer
from streaming.model_folder import ModelFolder
from streaming.term_index import TermIndex
from streaming.words.lexicon import lexicon_of

MOST_SOUNDED = 3_000
"""Forms that a mere check pronounces and embeds, some seconds of work; a build compares what it made anyway."""
_NOT_SOUNDED = GlossaryWarning(
    "", "not_compared", f"a check does not compare how more than {MOST_SOUNDED} spoken forms sound; publishing does"
)


def linted(
    report: IndexReport, glossary: Glossary, folder: ModelFolder, index: TermIndex | None, provider: Provider = "cpu"
) -> IndexReport:
    """The report with all findings as its warnings; without an index the forms are heard here, if they are few."""
    sounds = _sounds_of_index(index) if index is not None else _sounds(glossary, folder, provider)
    found = lint(glossary, word_log_prob(folder), sounds)
    return replace(report, warnings=found if sounds is not None else (*found, _NOT_SOUNDED))


def word_log_prob(folder: ModelFolder) -> WordLogProb:
    """How often words are said, by the model's lexicon; a model without one knows no word."""
    lexicon = lexicon_of(folder)
    if lexicon is None:
        return lambda word: -math.inf
    known = dict(zip(lexicon.words, lexicon.bigrams.unigram.tolist(), strict=True))
    return lambda word: known.get(word, -math.inf)


def _sounds_of_index(index: TermIndex) -> Sounds:
    too_many = Sounds(index.forms, np.zeros((0, 1), np.float32))
    return Sounds(index.forms, index.vectors) if are_compared(too_many) else too_many


def _sounds(glossary: Glossary, folder: ModelFolder, provider: Provider) -> Sounds | None:
    """Pronunciations and vectors of the forms, as a build would make them; None of too many."""
    owned = [(number, form) for number, entry in enumerate(glossary.entries) for form in entry.forms]
    if len(owned) > MOST_SOUNDED:
        return None
    said = pronounce_forms([form for _, form in owned], OnnxPronouncer(folder))
    forms = [
        make_form(number, form.text, ways, form.kind, form.written)
        for (number, form), ways in zip(owned, said, strict=True)
    ]
    with progress_bar(f"sounds of {glossary.name}") as progress:
        vectors = embed_texts([form.text for form in forms], OnnxTextEncoder(folder, provider=provider), progress)
    return Sounds(forms, vectors)
