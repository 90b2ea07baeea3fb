"""A glossary becomes an index: spoken forms, their pronunciations, vectors, background statistics, and the search."""

import itertools
from collections.abc import Sequence

from index_builder.apart import kept_apart
from index_builder.embed import Progress, TextEncoder
from index_builder.form_stages import Background, CachedPronouncer, embed_forms
from index_builder.glossary import Glossary
from index_builder.index_tuning import tuned_search
from index_builder.pronounce import Pronouncer
from index_builder.said_forms import SaidForms
from index_builder.vector_cache import FormCache
from streaming.index.entry_lines import LazySequence
from streaming.index.index_folder import GlossarySource
from streaming.term_index import TermIndex


def build_index(
    glossary: Glossary,
    text_encoder: TextEncoder,
    pronouncer: Pronouncer,
    background: Background,
    *,
    version: str,
    sources: Sequence[GlossarySource] = (),
    progress: Progress | None = None,
    cache: FormCache | None = None,
) -> TermIndex:
    """Build the index of a glossary.

    What `cache` knows is not computed again: after an edit only new words and forms are. A build that is stopped and
    begun again goes on behind its last batch.

    Args:
        glossary: entries with their spoken forms.
        text_encoder: embeds the texts of the forms.
        pronouncer: knows the words that the user gave no pronunciation for.
        background: statistics of forms against background speech.
        version: the name of this state of the glossary.
        sources: the files it was read from.
        progress: told how many steps are done, and of how many: one for each word, text and form, which take about as
            long as each other; what is known is done at once.
        cache: of the model that `text_encoder`, `pronouncer` and `background` come from.

    Raises:
        ModelError: the encoder's vectors cannot be used.
        IndexFolderError: the cache cannot be used.
    """
    owned = [(index, form) for index, entry in enumerate(glossary.entries) for form in entry.forms]
    texts = [form.text for _, form in owned]
    steps = _Steps(len(set(" ".join(texts).split())) + len(set(texts)) + len(texts), progress)
    said = SaidForms(owned, CachedPronouncer(pronouncer, cache, steps.done), cache, steps.done)
    ways = LazySequence(len(owned), said.ways)
    stays = kept_apart([index for index, _ in owned], texts, [form.kind for _, form in owned], ways)
    vectors = embed_forms(list(itertools.compress(texts, stays)), text_encoder, cache, steps.done)
    forms, statistics = said.measured(stays, background)
    steps.finish()
    return TermIndex(
        [entry.entry for entry in glossary.entries],
        forms,
        tuned_search(vectors),
        statistics,
        text_encoder.encoder_id,
        version,
        sources,
    )


class _Steps:
    """Counts what is done of a number of steps that is known at the start."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._count = total, progress, 0

    def done(self, more: int) -> None:
        self._count += more
        if self._progress is not None:
            self._progress(min(self._count, self._total), self._total)

    def finish(self) -> None:
        """Also what needed no step, such as the names of letters, is done."""
        self.done(self._total - self._count)
