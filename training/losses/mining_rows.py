"""Hard negatives of rows of speech: spans of audio against the texts of a bank."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from streaming.errors import SettingError
from training.corpus.audio import AudioError, length_of
from training.corpus.examples import Example
from training.corpus.glossary import TrainingGlossary
from training.corpus.lines import json_bytes, whole_file
from training.loop.batches import Batch, BatchConfig, BatchMaker
from training.losses.mining import Floats, Kin, TermBank, embed_texts, kin_of, mine
from training.models.interfaces import Retriever

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MiningSettings:
    """`count` terms for each row; `batch` rows in one pass; `spans` of the grid beside covering ones; `seed`."""

    count: int = 100
    batch: int = 16
    spans: int = 48
    text_field: Literal["term", "short_description"] = "term"
    seed: int = 1


@dataclass(frozen=True, slots=True)
class RowNegatives:
    """A row and its hardest terms with their cosines, hardest first."""

    example_id: str
    negatives: tuple[tuple[str, float], ...]


@dataclass(slots=True)
class Count:
    """Rows that were mined, and rows whose audio cannot be used."""

    mined: int = 0
    bad: int = 0


def device_of(provider: str) -> torch.device:
    """`auto`, `cpu` or `cuda` -> where the model runs. Raises SettingError where there is no GPU as asked for."""
    has_gpu = torch.cuda.is_available()
    if provider == "cuda" and not has_gpu:
        raise SettingError("torch finds no GPU for --provider cuda; check the driver, or use --provider cpu")
    return torch.device("cuda" if has_gpu and provider != "cpu" else "cpu")


class RowMiner:
    """Mines row after row with a model as it is.

    A row with terms is asked for by their smallest covering spans; a row without by all its spans, since whatever
    comes near to any of them is a false hint in the making.

    Args:
        model: in evaluation mode, on `device`.
        bank: terms that may become negatives.
        glossary: names of all terms.
        settings: how many.
        device: where the model is.
    """

    def __init__(
        self,
        model: Retriever,
        bank: TermBank,
        glossary: TrainingGlossary,
        settings: MiningSettings,
        device: torch.device,
    ) -> None:
        self._model, self._bank, self._glossary = model, bank, glossary
        self._settings, self._device = settings, device
        texts = [glossary.text_of(term, settings.text_field) for term in bank.terms]
        self._vectors = embed_texts(model.text, texts, device)
        config = BatchConfig(model.mel_bins, settings.spans, settings.text_field, with_texts=False)
        self._maker = BatchMaker(config, model.text.tokenise, glossary, lambda words: [() for _ in words])

    def mine(self, examples: Iterator[Example], count: Count) -> Iterator[RowNegatives]:
        """Rows in order; those whose audio cannot be used are told of, counted and left out."""
        rng = np.random.default_rng(self._settings.seed)
        while some := list(islice(examples, self._settings.batch)):
            usable, lengths = self._usable(some, count)
            # Ids may be repeated, so what the maker refuses comes back by its place among the rows.
            placed = [replace(example, example_id=str(place)) for place, example in enumerate(usable)]
            batch = self._maker.make(placed, lengths, rng) if usable else None
            if batch is None:
                count.bad += len(usable)
                continue
            refused = {int(error.example.example_id): error.reason for error in batch.bad}
            self._tell([AudioError(usable[place], reason) for place, reason in refused.items()], count)
            read = [example for place, example in enumerate(usable) if place not in refused]
            yield from self._of_batch(batch, read)
            count.mined += len(read)

    def _usable(self, examples: Sequence[Example], count: Count) -> tuple[list[Example], list[int]]:
        usable, lengths, bad = [], [], []
        for example in examples:
            try:
                lengths.append(length_of(example))
            except AudioError as error:
                bad.append(error)
            else:
                # Words are for the alignment head, which mining does not ask.
                usable.append(replace(example, words=()))
        self._tell(bad, count)
        return usable, lengths

    def _tell(self, bad: Sequence[AudioError], count: Count) -> None:
        for error in bad:
            _LOG.warning("skipped: %s", error)
        count.bad += len(bad)

    def _of_batch(self, batch: Batch, examples: Sequence[Example]) -> Iterator[RowNegatives]:
        with torch.no_grad():
            spans = self._model(batch.inputs.to(self._device)).spans.float().cpu().numpy()
        queries, owners = _queries(spans, batch)
        kin = [self._kin(example) for example in examples]
        mined = mine(self._bank, self._vectors, queries, owners, kin, self._settings.count)
        for example, numbers, scores in zip(examples, mined.numbers, mined.scores, strict=True):
            found = zip(numbers.tolist(), scores.tolist(), strict=True)
            yield RowNegatives(example.example_id, tuple((self._bank.terms[i], s) for i, s in found if i >= 0))

    def _kin(self, example: Example) -> Kin:
        return frozenset().union(*(kin_of(term.term, self._glossary) for term in example.terms))


def _queries(spans: Floats, batch: Batch) -> tuple[Floats, NDArray[np.int64]]:
    """Covering spans of rows that have some, all spans of the others; and the row of each, ascending."""
    wanted = np.zeros(spans.shape[:2], np.bool_)
    covering = batch.labels.covering.numpy()
    wanted[covering[:, 0], covering[:, 2]] = True
    wanted[~wanted.any(1)] = True
    owners, number = wanted.nonzero()
    return spans[owners, number], owners


def write_negatives(path: Path, rows: Iterator[RowNegatives], progress: Callable[[int], None]) -> int:
    """JSON lines of {"example_id", "negatives": [{"term", "score"}]}, whole or not at all; gives their number."""
    done = 0
    with whole_file(path) as stream:
        for done, row in enumerate(rows, 1):
            negatives = [{"term": term, "score": round(score, 4)} for term, score in row.negatives]
            stream.write(json_bytes({"example_id": row.example_id, "negatives": negatives}) + b"\n")
            progress(done)
    return done
