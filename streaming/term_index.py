"""The glossary as a stream searches it: entries, their spoken forms, one unit vector per form.

Immutable: several streams may search one index at a time; a new glossary is a new index. A small index is held in
memory; of a large one that was loaded, entries and forms are parsed and vectors read when they are asked for.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streaming.entries import Entry, Form, render_lines
from streaming.errors import IndexFolderError
from streaming.index.entry_lines import EntryLines
from streaming.index.index_folder import (
    BACKGROUND_FILE,
    ENTRIES_FILE,
    OFFSETS_FILE,
    REPORT_FILE,
    SEARCH_FILE,
    VECTORS_FILE,
    GlossarySource,
    IndexFacts,
    NewContent,
    damaged,
    read_index_folder,
    write_index_folder,
)
from streaming.index.mapped_arrays import pack_array, view_array
from streaming.index.vector_search import ExactSearch, SearchFacts, VectorSearch, unpack_search

__all__ = ["BACKGROUND_COLUMNS", "Entry", "Form", "Neighbour", "TermIndex"]

BACKGROUND_COLUMNS = 4
# An index of at most so many forms is parsed whole when it is loaded.
PARSED_FORMS = 20_000
_UNIT_NORM_TOLERANCE = 1e-3
_LINES_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One hit of a search; `similarity` is the cosine."""

    form_index: int
    similarity: float


class TermIndex:
    """Entries and forms behind an inner-product search.

    Ask for what you need of a large index: `entries[i]`, `forms[i]`, `background[i]` and `vectors_of` read only that;
    iterating over `entries` or `forms` parses them all, `vectors` copies them all.

    Attributes:
        entries: the glossary, in its order; a sequence, of which a large loaded index parses what is asked for.
        forms: spoken forms, grouped by entry, at least one per entry; a sequence like `entries`.
        background: float32[n_forms, 4], statistics of each form against background speech; mapped where it is large.
    """

    entries: Sequence[Entry]
    forms: Sequence[Form]
    background: NDArray[np.float32]

    def __init__(
        self,
        entries: Sequence[Entry],
        forms: Sequence[Form],
        vectors: NDArray[np.float32] | VectorSearch,
        background: NDArray[np.float32],
        encoder_id: str,
        version: str,
        sources: Sequence[GlossarySource] = (),
    ) -> None:
        """Check the parts against each other.

        Args:
            entries: at least one.
            forms: grouped by `entry_index`, every entry at least once.
            vectors: float32[n_forms, dim], unit norm, which are then searched exactly; or a search among them.
            background: float32[n_forms, 4].
            encoder_id: names the encoder that made `vectors`.
            version: names this state of the glossary.
            sources: the glossary files.

        Raises:
            ValueError: the parts do not fit together.
        """
        owners = [form.entry_index for form in forms]
        if sorted(set(owners)) != list(range(len(entries))):
            raise ValueError(f"the forms do not cover each of the {len(entries)} entries")
        if any(left > right for left, right in itertools.pairwise(owners)):
            raise ValueError("the forms are not grouped by entry")
        if isinstance(vectors, np.ndarray):
            _check_vectors(vectors, len(forms))
            vectors = ExactSearch.of(vectors)
        langs = tuple(dict.fromkeys(lang for entry in entries for lang in entry.translations))
        facts = IndexFacts(
            version, encoder_id, vectors.dim, len(entries), len(forms), tuple(sources), langs, vectors.facts
        )
        self._assemble(tuple(entries), tuple(forms), vectors, background, facts)

    def _assemble(
        self,
        entries: Sequence[Entry],
        forms: Sequence[Form],
        search: VectorSearch,
        background: NDArray[np.float32],
        facts: IndexFacts,
    ) -> None:
        if not entries or search.count != len(forms):
            raise ValueError(f"{len(entries)} entries with {len(forms)} forms do not go with {search.count} vectors")
        if background.shape != (len(forms), BACKGROUND_COLUMNS) or background.dtype != np.float32:
            raise ValueError(
                f"the background statistics are {background.dtype}{list(background.shape)} instead of "
                f"float32[{len(forms)}, {BACKGROUND_COLUMNS}]"
            )
        if not np.isfinite(background).all():
            raise ValueError("the background statistics hold a value that is not finite")
        self.entries, self.forms = entries, forms
        self.background = background
        self._search, self._facts = search, facts

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._facts.dim

    @property
    def encoder_id(self) -> str:
        """The encoder that embedded the forms; queries must come from the same."""
        return self._facts.encoder_id

    @property
    def version(self) -> str:
        """The name of this state of the glossary."""
        return self._facts.version

    def version_of(self, entry_index: int) -> str:
        """The version in which an entry is found: that of the index, for all."""
        return self.version

    @property
    def sources(self) -> tuple[GlossarySource, ...]:
        """The glossary files this index was built from."""
        return self._facts.sources

    @property
    def target_langs(self) -> tuple[str, ...]:
        """Codes of the translations in the order of the glossary; "" where the language is not named."""
        return self._facts.target_langs

    @property
    def search_facts(self) -> SearchFacts:
        """How this index is searched, and what was measured of it when it was built."""
        return self._facts.search

    @property
    def vectors(self) -> NDArray[np.float32]:
        """A copy of all vectors, float32[n_forms, dim], unit norm. Of a large index, take `vectors_of`."""
        return self.vectors_of(np.arange(len(self.forms)))

    def vectors_of(self, forms: NDArray[np.integer] | Sequence[int]) -> NDArray[np.float32]:
        """The vectors of some forms, float32[n, dim], unit norm; no others are read.

        For canary queries, for the similarity of a candidate, for a layered index.
        """
        return self._search.vectors_of(np.asarray(forms, np.int64).reshape(-1))

    def search(self, queries: NDArray[np.float32], top_k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest forms of each query; `search_facts` tells whether all of them are found.

        Args:
            queries: float32[m, dim], unit norm.
            top_k: at least 1; more than there are forms gives all of them.

        Returns:
            int64[m, k] form indices and float32[m, k] cosines, best first.

        Raises:
            ValueError: another shape, or `top_k` below 1.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise ValueError(f"queries of shape {list(queries.shape)} do not fit an index of dimension {self.dim}")
        if top_k < 1:
            raise ValueError(f"top_k is {top_k}, it must be at least 1")
        k = min(top_k, len(self.forms))
        return self._search.search(np.ascontiguousarray(queries, np.float32), k)

    def neighbours(self, query: NDArray[np.float32], top_k: int) -> list[Neighbour]:
        """The nearest forms of one query float32[dim], best first."""
        indices, similarities = self.search(query[np.newaxis], top_k)
        return [Neighbour(int(i), float(s)) for i, s in zip(indices[0], similarities[0], strict=True)]

    def save(self, folder: Path, report: bytes | None = None) -> None:
        """Write the index as the new folder `folder`, whole or not at all.

        Args:
            folder: must not exist.
            report: the lint report (JSON), kept and hashed beside the index.

        Raises:
            IndexFolderError: `folder` exists, or the disk refuses.
        """
        lines, offsets = render_lines(self.entries, self.forms)
        search, vectors = self._search.pack()
        files: dict[str, NewContent] = {
            SEARCH_FILE: search,
            # Each piece costs a hash and a write of its own.
            ENTRIES_FILE: (b"".join(lines[i : i + _LINES_AT_ONCE]) for i in range(0, len(lines), _LINES_AT_ONCE)),
            OFFSETS_FILE: pack_array(offsets),
            BACKGROUND_FILE: pack_array(self.background),
        }
        if vectors is not None:
            files[VECTORS_FILE] = pack_array(vectors)
        if report is not None:
            files[REPORT_FILE] = report
        write_index_folder(folder, self._facts, files)

    @classmethod
    def load(cls, folder: Path, encoder_id: str) -> Self:
        """Read an index folder.

        All of it is hashed. Of an index with more than `PARSED_FORMS` forms the lines of the entries are parsed only
        when they are asked for; the folder may be renamed or removed meanwhile.

        Args:
            folder: what `save` wrote.
            encoder_id: the encoder that will make the queries.

        Raises:
            IndexFolderError: it is missing, damaged, of another schema or of another encoder; says which.
        """
        facts, files = read_index_folder(folder, encoder_id)
        try:
            shape = (facts.forms, facts.dim)
            search = unpack_search(SEARCH_FILE, files[SEARCH_FILE], files.get(VECTORS_FILE), facts.search, shape)
            background = view_array(
                files[BACKGROUND_FILE], BACKGROUND_FILE, np.float32, (facts.forms, BACKGROUND_COLUMNS)
            )
            offsets = view_array(files[OFFSETS_FILE], OFFSETS_FILE, np.int64, (facts.entries + 1, 2))
            lines = EntryLines(files[ENTRIES_FILE], offsets)
            entries, forms = lines.parse_all() if facts.forms <= PARSED_FORMS else (lines.entries, lines.forms)
            index = cls.__new__(cls)
            index._assemble(entries, forms, search, background, facts)
        except (ValueError, RuntimeError, IndexFolderError) as cause:
            raise damaged(folder, str(cause)) from cause
        return index


def _check_vectors(vectors: NDArray[np.float32], n_forms: int) -> None:
    if vectors.ndim != 2 or len(vectors) != n_forms:
        raise ValueError(f"vectors of shape {list(vectors.shape)} do not go with {n_forms} forms")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    # The negation also catches NaN.
    if not bool(np.all(np.abs(norms - 1) < _UNIT_NORM_TOLERANCE)):
        worst = int(np.argmax(np.nan_to_num(np.abs(norms - 1), nan=np.inf)))
        raise ValueError(f"the vector of form {worst} has norm {norms[worst]:.4g} instead of 1")
