from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from streaming.features import LogMel
from training.corpus.examples import Example, TermSpan
from training.corpus.keys import key_of
from training.corpus.manifest import Word
from training.loop.batches import BatchConfig, BatchMaker
from training.loop.loading import Loader, TooManyBadRowsError
from training.loop.sampling import RowLengths, SamplingConfig
from training.models.interfaces import Tokens
from training.speech.augmentation import AugmentationConfig


class Texts:
    """Every plural is a variant of its singular."""

    def group_of(self, normal: str) -> int:
        """The key of the singular."""
        return key_of(normal.removesuffix("s"))

    def text_of(self, term: str, text_field: str) -> str:
        """The term, or a made description."""
        return term if text_field == "term" else f"what {term} is"


def spell(words: Sequence[str]) -> list[tuple[str, ...]]:
    """A pronouncer that says K for every letter."""
    return [("K",) * len(word) for word in words]


def letters(texts: Sequence[str]) -> Tokens:
    """Code points, padded."""
    longest = max(map(len, texts))
    return {"letters": torch.tensor([[*map(ord, t), *[0] * (longest - len(t))] for t in texts])}


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Three rows with terms, one without, and one whose file is missing."""
    rng = np.random.default_rng(0)
    rows = []
    for i, (seconds, said) in enumerate([(1.0, "Kalman filter"), (2.0, "kalman-filter"), (1.5, "lattices"), (1.2, "")]):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, rng.standard_normal(int(seconds * 16_000)) * 0.1, 16_000)
        terms = (TermSpan(said, 3_200, 9_600),) if said else ()
        words = tuple(Word(w, 3_200, 9_600) for w in said.lower().split())
        rows.append(Example(f"r{i}", path, 0, 0, said, terms, words, f"rec{i}", f"speaker{i}"))
    rows.append(Example("gone", tmp_path / "none.wav", 0, 16_000, "gone", (TermSpan("gone", 0, 900),)))
    return rows


LENGTHS = [16_000, 32_000, 24_000, 19_200, 16_000]


def maker(**changes: object) -> BatchMaker:
    """A batch maker over the fakes."""
    config = BatchConfig(mel_bins=80, spans_per_row=6, **changes)  # type: ignore[arg-type]
    return BatchMaker(config, letters, Texts(), spell)


def test_batch_holds_what_the_rows_say(examples: list[Example]) -> None:
    """Features, columns, keys, groups, no-term marks and targets are those of the rows that can be read."""
    batch = maker().make(examples, LENGTHS, np.random.default_rng(0))
    assert batch is not None
    assert batch.terms == ("kalman filter", "lattices")
    assert batch.inputs.frames.tolist() == [50, 100, 75, 60]
    assert batch.inputs.mel.shape == (4, 80, 200)
    audio, _ = soundfile.read(examples[2].audio, dtype="float32")
    np.testing.assert_allclose(batch.inputs.mel[2, :, :150].numpy(), LogMel()(audio), atol=1e-6)
    assert not batch.inputs.mel[2, :, 150:].any()
    labels = batch.labels
    assert labels.term_keys.tolist() == [key_of("kalman filter"), key_of("lattices")]
    assert labels.term_groups.tolist() == [key_of("kalman filter"), key_of("lattice")]
    assert labels.row_terms.tolist() == [
        [key_of("kalman filter")],
        [key_of("kalman filter")],
        [key_of("lattices")],
        [-1],
    ]
    assert labels.no_term.tolist() == [False, False, False, True]
    assert labels.text_keys[3] == -1
    assert labels.covering[:, :2].tolist() == [[0, 0], [1, 0], [2, 1]]
    assert [len(c) for c in labels.characters] == [len("|kalman|filter|")] * 2 + [len("|lattices|"), 0]


def test_covering_spans_cover(examples: list[Example]) -> None:
    """Every labelled span holds its term."""
    batch = maker().make(examples[:3], LENGTHS[:3], np.random.default_rng(3))
    assert batch is not None
    for row, _, span in batch.labels.covering.tolist():
        first, last = batch.inputs.spans[row, span].tolist()
        assert first <= 11
        assert last >= 29


def test_unreadable_rows_are_listed(examples: list[Example]) -> None:
    """A missing file takes only its own row away; a batch of nothing else is no batch."""
    batch = maker().make(examples, LENGTHS, np.random.default_rng(0))
    assert batch is not None
    assert [error.example.example_id for error in batch.bad] == ["gone"]
    assert maker().make(examples[4:], LENGTHS[4:], np.random.default_rng(0)) is None


def test_descriptions_are_read_where_asked(examples: list[Example]) -> None:
    """With `short_description` the text tower reads the description."""
    batch = maker(text_field="short_description").make(examples[2:3], LENGTHS[2:3], np.random.default_rng(0))
    assert batch is not None
    assert batch.inputs.terms["letters"].tolist() == [[ord(c) for c in "what lattices is"]]


def test_negatives_are_new_columns(examples: list[Example]) -> None:
    """Mined terms are appended once; those that the batch has already are not."""
    make = maker()
    batch = make.make(examples[:3], LENGTHS[:3], np.random.default_rng(0))
    assert batch is not None
    more = make.with_negatives(batch, ["lattice", "Lattices", "lattice", "ion"])
    assert more.terms == ("kalman filter", "lattices", "lattice", "ion")
    assert more.labels.term_groups.tolist()[1:3] == [key_of("lattice")] * 2
    assert len(more.inputs.terms["letters"]) == 4
    assert make.with_negatives(batch, ["lattices"]) is batch


def test_augmentation_changes_audio_but_no_label(examples: list[Example]) -> None:
    """The same draw with and without changes differs in features only."""
    plain = maker().make(examples[:3], LENGTHS[:3], np.random.default_rng(5))
    changed = maker(augmentation=AugmentationConfig(noise_share=1.0)).make(
        examples[:3], LENGTHS[:3], np.random.default_rng(5)
    )
    assert plain is not None
    assert changed is not None
    assert not torch.equal(plain.inputs.mel, changed.inputs.mel)
    assert torch.equal(plain.inputs.spans, changed.inputs.spans)
    assert torch.equal(plain.labels.covering, changed.labels.covering)


def loader(examples: list[Example], share: float, *, rank: int = 0, world: int = 1) -> Loader:
    """Batches of two rows of all ranks."""
    rows = RowLengths(np.array(LENGTHS[: len(examples)]), np.array([e.is_no_term for e in examples]))
    return Loader(examples, rows, maker(), SamplingConfig(2, 0.5, 1), rank=rank, world=world, max_bad_share=share)


def test_an_epoch_goes_on_from_any_step(examples: list[Example]) -> None:
    """The batches after a skip are those of the unbroken epoch."""
    whole = list(loader(examples[:4], 1.0).batches(2))
    rest = list(loader(examples[:4], 1.0).batches(2, skip=1))
    assert len(whole) == 2
    assert torch.equal(whole[1].inputs.mel, rest[0].inputs.mel)
    assert torch.equal(whole[1].inputs.spans, rest[0].inputs.spans)


def test_ranks_see_different_rows(examples: list[Example]) -> None:
    """Two ranks have one row each of a batch of two."""
    first, second = (next(loader(examples[:4], 1.0, rank=r, world=2).batches(0)) for r in (0, 1))
    assert len(first.inputs.frames) == len(second.inputs.frames) == 1
    assert not torch.equal(first.inputs.frames, second.inputs.frames)


def test_too_many_bad_rows_end_the_run(examples: list[Example], tmp_path: Path) -> None:
    """Once enough rows were seen, a share of bad ones above the limit is an error that names the first."""
    rows = [examples[0]] * 30 + [examples[4]] * 30
    lengths = RowLengths(np.full(60, 16_000), np.zeros(60, bool))
    many = Loader(rows, lengths, maker(), SamplingConfig(6, 0.5, 1), max_bad_share=0.1)
    with pytest.raises(TooManyBadRowsError, match=r"rows cannot be used .* first: .*none\.wav"):
        list(many.batches(0))
    few = Loader(rows, lengths, maker(), SamplingConfig(6, 0.5, 1), max_bad_share=0.9)
    assert len(list(few.batches(0))) == 10
    assert len(few.bad) == 30
