"""The rows of a run: read once in a stream, checked, and kept in one file beside the checkpoint."""

import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streaming.durable import replace_file
from streaming.errors import SettingError
from training.corpus.audio import AudioError, length_of
from training.corpus.examples import Example
from training.corpus.keys import normal_form
from training.corpus.lines import BadRow
from training.corpus.rows import ExampleFile, read_examples, write_examples
from training.loop.config import DataConfig
from training.loop.loading import TooManyBadRowsError
from training.loop.sampling import RowLengths

_LOG = logging.getLogger(__name__)
_SHOWN = 5
_ROWS_BEFORE_JUDGING = 50


@dataclass(frozen=True, slots=True)
class RunRows:
    """Rows that can be trained on.

    Attributes:
        examples: by number, read from the disk when asked for.
        lengths: of the same rows.
        groups: entries that are said in them (`TrainingGlossary.group_of`).
        terms: normal forms that are said in them.
        timed: how many have words with times, which the alignment learns from.
        digest: names the rows; other rows have another.
    """

    examples: Sequence[Example]
    lengths: RowLengths
    groups: frozenset[int]
    terms: tuple[str, ...]
    timed: int = 0
    digest: str = ""


class _Bad:
    """Rows that cannot be used: told, counted, and an error when they are too many."""

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self.reasons: list[str] = []
        self.seen = 0

    def __call__(self, row: BadRow | AudioError) -> None:
        self.reasons.append(str(row))
        if isinstance(row, BadRow):
            self.seen += 1
        if len(self.reasons) <= _SHOWN:
            _LOG.warning("skipped: %s", row)
        if self.seen >= _ROWS_BEFORE_JUDGING:
            self.judge()

    def judge(self) -> None:
        if self.reasons and len(self.reasons) > self._max_share * self.seen:
            raise TooManyBadRowsError(
                f"{len(self.reasons)} of {self.seen} rows cannot be used (more than {self._max_share:.0%}), first: "
                f"{self.reasons[0]}; list all with: termcue validate-audio ROWS"
            )


def gather_rows(
    data: DataConfig,
    group_of: Callable[[str], int],
    path: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> RunRows:
    """Read the rows of `data.train` and write those that can be used to `path`.

    Args:
        data: where they are, which of them count, and how many may be bad.
        group_of: normal form -> entry.
        path: JSON lines; beside it stand the lengths and the reasons of the rows left out.
        progress: told how many rows were seen.

    Raises:
        ManifestError: a file that cannot be read.
        TooManyBadRowsError: too large a share cannot be used.
        SettingError: no rows, or none without a term although rejection is to be trained.
    """
    bad = _Bad(data.max_bad_share)
    samples: list[int] = []
    no_term: list[bool] = []
    timed: list[bool] = []
    terms: dict[str, int] = {}

    def usable() -> Iterator[Example]:
        for example in _wanted(read_examples(data.train, single_slice=data.single_slice, on_bad=bad), data.no_term):
            bad.seen += 1
            try:
                # A row that names its length is believed until it is read: headers of millions of files take hours.
                length = example.samples or length_of(example)
            except AudioError as error:
                bad(error)
                continue
            samples.append(length)
            no_term.append(example.is_no_term)
            timed.append(bool(example.words))
            terms.update((form, group_of(form)) for form in (normal_form(t.term) for t in example.terms))
            progress(bad.seen)
            yield example

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    try:
        write_examples(fresh, usable())
        replace_file(path.with_suffix(".left-out.txt"), "".join(f"{reason}\n" for reason in bad.reasons).encode())
        bad.judge()
        lengths = RowLengths(np.array(samples, np.int64), np.array(no_term, bool))
        _check(lengths, data)
        kept = io.BytesIO()
        digest = np.array(_digest(fresh, len(samples)))
        np.savez(kept, samples=lengths.samples, no_term=lengths.no_term, timed=sum(timed), digest=digest)
        replace_file(path.with_suffix(".npz"), kept.getvalue())
        replace_file(path.with_suffix(".terms.json"), json.dumps(terms).encode())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return reopen_rows(path)


def _digest(path: Path, rows: int) -> str:
    with path.open("rb") as stream:
        return f"{rows} rows, sha256 {hashlib.file_digest(stream, 'sha256').hexdigest()}"


def reopen_rows(path: Path) -> RunRows:
    """What `gather_rows` wrote, for the other ranks."""
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as found:
        kept = RowLengths(found["samples"], found["no_term"])
        timed, digest = int(found["timed"]), str(found["digest"])
    terms: dict[str, int] = json.loads(path.with_suffix(".terms.json").read_text("utf-8"))
    return RunRows(ExampleFile(path), kept, frozenset(terms.values()), tuple(terms), timed, digest)


def _wanted(examples: Iterable[Example], with_no_term: bool) -> Iterator[Example]:
    return (example for example in examples if with_no_term or not example.is_no_term)


def _check(lengths: RowLengths, data: DataConfig) -> None:
    where = ", ".join(map(str, data.train)) or "nothing: give --train"
    if not len(lengths.samples):
        raise SettingError(f"there is no usable row in {where}; make some with: termcue align, or termcue synthesize")
    if lengths.no_term.all():
        raise SettingError(f"no row in {where} holds a term; there is nothing to find in them")
    if data.no_term and not lengths.no_term.any():
        raise SettingError(
            f"rejection is to be trained, but no row in {where} is without a term; make such rows with `termcue align` "
            "or `termcue synthesize`, or train without: --no-no-term"
        )
