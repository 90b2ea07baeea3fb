"""The glossary as a stream searches it: entries, their spoken forms, one unit vector per form.

Immutable: several streams may search one index at a time; a new glossary is a new index.
"""

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import faiss
import numpy as np
from numpy.typing import NDArray

from streaming.entries import Entry, Form, parse_entries, render_entries
from streaming.index_folder import (
    BACKGROUND_FILE,
    ENTRIES_FILE,
    REPORT_FILE,
    VECTORS_FILE,
    GlossarySource,
    IndexFacts,
    damaged,
    read_index_folder,
    write_index_folder,
)

__all__ = ["BACKGROUND_COLUMNS", "Entry", "Form", "Neighbour", "Origin", "TermIndex"]

BACKGROUND_COLUMNS = 4
_UNIT_NORM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One hit of a search; `similarity` is the cosine."""

    form_index: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an index comes from: the encoder that embedded it, its version, the glossary files it was built from."""

    encoder_id: str
    version: str
    sources: tuple[GlossarySource, ...] = field(default=())


class TermIndex:
    """Entries and forms behind an exact inner-product search.

    Attributes:
        entries: the glossary, in its order.
        forms: spoken forms, grouped by entry, at least one per entry.
        background: float32[n_forms, 4], statistics of each form against background speech.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        forms: Sequence[Form],
        vectors: NDArray[np.float32],
        background: NDArray[np.float32],
        encoder_id: str,
        version: str,
        sources: Sequence[GlossarySource] = (),
    ) -> None:
        """Check the parts against each other and make the search structure.

        Args:
            entries: at least one.
            forms: grouped by `entry_index`, every entry at least once.
            vectors: float32[n_forms, dim], unit norm.
            background: float32[n_forms, 4].
            encoder_id: names the encoder that made `vectors`.
            version: names this state of the glossary.
            sources: the glossary files.

        Raises:
            ValueError: the parts do not fit together.
        """
        _check_vectors(vectors, len(forms))
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(np.ascontiguousarray(vectors, np.float32))
        self._assemble(tuple(entries), tuple(forms), flat, background, Origin(encoder_id, version, tuple(sources)))

    def _assemble(
        self,
        entries: tuple[Entry, ...],
        forms: tuple[Form, ...],
        flat: faiss.IndexFlatIP,
        background: NDArray[np.float32],
        origin: Origin,
    ) -> None:
        if sorted({form.entry_index for form in forms}) != list(range(len(entries))):
            raise ValueError(f"the forms do not cover each of the {len(entries)} entries")
        if any(left.entry_index > right.entry_index for left, right in itertools.pairwise(forms)):
            raise ValueError("the forms are not grouped by entry")
        if not entries or flat.ntotal != len(forms):
            raise ValueError(f"{len(entries)} entries with {len(forms)} forms do not go with {flat.ntotal} vectors")
        if background.shape != (len(forms), BACKGROUND_COLUMNS) or background.dtype != np.float32:
            raise ValueError(
                f"the background statistics are {background.dtype}{list(background.shape)} instead of "
                f"float32[{len(forms)}, {BACKGROUND_COLUMNS}]"
            )
        if not np.isfinite(background).all():
            raise ValueError("the background statistics hold a value that is not finite")
        self.entries = entries
        self.forms = forms
        self.background = background
        self._flat = flat
        self._origin = origin

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self._flat.d)

    @property
    def encoder_id(self) -> str:
        """The encoder that embedded the forms; queries must come from the same."""
        return self._origin.encoder_id

    @property
    def version(self) -> str:
        """The name of this state of the glossary."""
        return self._origin.version

    @property
    def sources(self) -> tuple[GlossarySource, ...]:
        """The glossary files this index was built from."""
        return self._origin.sources

    @property
    def vectors(self) -> NDArray[np.float32]:
        """A copy of the vectors, float32[n_forms, dim], unit norm."""
        return np.asarray(self._flat.reconstruct_n(0, self._flat.ntotal), np.float32)

    def search(self, queries: NDArray[np.float32], top_k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the nearest forms of each query.

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
        similarities, indices = self._flat.search(np.ascontiguousarray(queries, np.float32), k)
        return np.asarray(indices, np.int64), np.asarray(similarities, np.float32)

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
        background = io.BytesIO()
        np.save(background, self.background, allow_pickle=False)
        files = {
            VECTORS_FILE: faiss.serialize_index(self._flat).tobytes(),
            ENTRIES_FILE: render_entries(self.entries, self.forms),
            BACKGROUND_FILE: background.getvalue(),
        }
        if report is not None:
            files[REPORT_FILE] = report
        facts = IndexFacts(
            self.version, self.encoder_id, self.dim, len(self.entries), len(self.forms), self._origin.sources
        )
        write_index_folder(folder, facts, files)

    @classmethod
    def load(cls, folder: Path, encoder_id: str) -> Self:
        """Read an index folder.

        Args:
            folder: what `save` wrote.
            encoder_id: the encoder that will make the queries.

        Raises:
            IndexFolderError: it is missing, damaged, of another schema or of another encoder; says which.
        """
        facts, files = read_index_folder(folder, encoder_id)
        try:
            entries, forms = parse_entries(files[ENTRIES_FILE])
            flat = _parse_vectors(files[VECTORS_FILE])
            background = np.load(io.BytesIO(files[BACKGROUND_FILE]), allow_pickle=False)
            if (flat.d, len(entries), len(forms)) != (facts.dim, facts.entries, facts.forms):
                raise ValueError(
                    f"it holds {len(entries)} entries, {len(forms)} forms of dimension {flat.d}, the manifest says "
                    f"{facts.entries}, {facts.forms} and {facts.dim}"
                )
            index = cls.__new__(cls)
            index._assemble(entries, forms, flat, background, Origin(facts.encoder_id, facts.version, facts.sources))
        except (ValueError, KeyError, TypeError, RuntimeError, EOFError) as cause:
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


def _parse_vectors(content: bytes) -> faiss.IndexFlatIP:
    flat = faiss.deserialize_index(np.frombuffer(content, np.uint8))
    if not isinstance(flat, faiss.IndexFlatIP):
        raise ValueError(f"{VECTORS_FILE} holds a {type(flat).__name__}, not an IndexFlatIP")
    return flat
