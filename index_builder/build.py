"""A glossary becomes an index: spoken forms, their pronunciations, vectors and background statistics."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index_builder.embed import Progress, TextEncoder, embed_texts
from index_builder.glossary import Glossary
from index_builder.pronounce import Pronouncer, pronounce_forms
from streaming.entries import make_form
from streaming.index_folder import GlossarySource
from streaming.term_index import Form, TermIndex

Background: TypeAlias = Callable[[Sequence[Form]], NDArray[np.float32]]
"""Forms -> float32[n, 4], their statistics against background speech."""


def build_index(
    glossary: Glossary,
    text_encoder: TextEncoder,
    pronouncer: Pronouncer,
    background: Background,
    *,
    version: str,
    sources: Sequence[GlossarySource] = (),
    progress: Progress | None = None,
) -> TermIndex:
    """Build the index of a glossary.

    Args:
        glossary: entries with their spoken forms.
        text_encoder: embeds the texts of the forms.
        pronouncer: knows the words that the user gave no pronunciation for.
        background: statistics of forms against background speech.
        version: the name of this state of the glossary.
        sources: the files it was read from.
        progress: told how many forms are embedded.

    Raises:
        ModelError: the encoder's vectors cannot be used.
    """
    owned = [(index, form) for index, entry in enumerate(glossary.entries) for form in entry.forms]
    ways = pronounce_forms([form for _, form in owned], pronouncer)
    forms = [make_form(index, form.text, said) for (index, form), said in zip(owned, ways, strict=True)]
    vectors = embed_texts([form.text for form in forms], text_encoder, progress)
    return TermIndex(
        [entry.entry for entry in glossary.entries],
        forms,
        vectors,
        background(forms),
        text_encoder.encoder_id,
        version,
        sources,
    )
