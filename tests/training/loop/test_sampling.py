import numpy as np
import pytest

from streaming.errors import SettingError
from training.loop.sampling import RowLengths, SamplingConfig, epoch_batches, share_of_rank


def rows(terms: int, no_terms: int) -> RowLengths:
    """Rows of mixed lengths; those without a term come last."""
    lengths = np.random.default_rng(0).integers(10_000, 90_000, terms + no_terms)
    return RowLengths(lengths, np.arange(terms + no_terms) >= terms)


def test_every_row_with_a_term_comes_in_every_epoch() -> None:
    """An epoch holds each of them at least once, in batches of one size."""
    batches = epoch_batches(rows(103, 0), SamplingConfig(8, 0.1, 1), 3)
    assert {len(b) for b in batches} == {8}
    assert set(np.concatenate(batches).tolist()) == set(range(103))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.1, 20), (0.5, 180), (1.0, 300)])
def test_share_of_rows_without_a_term_is_capped(share: float, expected: int) -> None:
    """At most the share asked for holds no term: 20 of 200 at a tenth, 180 of 360 at a half."""
    batches = epoch_batches(rows(180, 300), SamplingConfig(20, share, 1), 0)
    seen = np.unique(np.concatenate(batches))
    assert int((seen >= 180).sum()) == expected
    assert set(range(180)) <= set(seen.tolist())


@pytest.mark.parametrize(("size", "share", "most"), [(16, 0.1, 1), (20, 0.25, 5), (4, 0.1, 1), (64, 0.3, 19)])
def test_no_batch_holds_more_than_its_share(size: int, share: float, most: int) -> None:
    """Also where rows without a term are all of one unusual length, which sorting would bring together."""
    many = rows(360, 40)
    many.samples[360:] = 90_000
    batches = epoch_batches(many, SamplingConfig(size, share, 1), 0)
    assert {len(b) for b in batches} == {size}
    assert max(int(many.no_term[b].sum()) for b in batches) <= most


def test_epochs_differ_and_repeat() -> None:
    """The same epoch gives the same batches again, another epoch others."""
    config = SamplingConfig(5, 0.1, 7)
    first, again, other = ([b.tolist() for b in epoch_batches(rows(40, 9), config, epoch)] for epoch in (0, 0, 1))
    assert first == again
    assert first != other


def test_rows_of_like_length_come_together() -> None:
    """Less than a tenth of the batches is padding, against a third in a plain shuffle."""
    lengths = rows(400, 0)
    batches = epoch_batches(lengths, SamplingConfig(16, 0.1, 1), 0)
    longest = sum(int(lengths.samples[b].max()) * len(b) for b in batches)
    assert longest < 1.15 * sum(int(lengths.samples[b].sum()) for b in batches)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_share_a_batch_without_overlap(world: int) -> None:
    """Together the ranks have each row of the batch once."""
    batch = np.arange(12)
    shares = [share_of_rank(batch, rank, world) for rank in range(world)]
    assert sorted(np.concatenate(shares).tolist()) == batch.tolist()
    assert {len(s) for s in shares} == {12 // world}


@pytest.mark.parametrize(("size", "sentence"), [(0, "at least 1"), (50, "fewer than one batch of 50")])
def test_impossible_batches_are_refused(size: int, sentence: str) -> None:
    """A batch of nothing, and one larger than all rows, are errors that name the number."""
    with pytest.raises(SettingError, match=sentence):
        epoch_batches(rows(10, 0), SamplingConfig(size, 0.1, 1), 0)
