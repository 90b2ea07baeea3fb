"""The document's merged training file, made of its shards where it is missing: the first stage of a pipeline."""

from dataclasses import dataclass, replace
from pathlib import Path

from streaming.errors import SettingError
from training.corpus.lines import OnBad, row_files
from training.corpus.merge import MergeCounts, merge_rows
from training.loop.config import TrainConfig
from training.loop.presets import MERGED, SHARDS, TEST_SAMPLES

SHARD_NAMES = "term_level_chunks_*.json"


@dataclass(frozen=True, slots=True)
class Merge:
    """What is to be merged.

    Attributes:
        shards: in the order of their numbers.
        left_out: shards of test rows.
        out: where their rows go.
    """

    shards: tuple[Path, ...]
    left_out: tuple[Path, ...]
    out: Path


def to_merge(config: TrainConfig) -> Merge | None:
    """The merge that these settings need; None where they name other rows, the file is there, or no shard is.

    The document's test shard is left out also where other test rows are named: the merged file outlives this run, and
    the next one may be judged on that shard.
    """
    if config.data.train != (MERGED,) or MERGED.exists() or not any(SHARDS.glob(SHARD_NAMES)):
        return None
    test = {path.resolve() for path in (config.data.test, TEST_SAMPLES) if path is not None}
    found = [path for path in row_files([SHARDS]) if path.match(SHARD_NAMES)]
    shards = tuple(path for path in found if path.resolve() not in test)
    return Merge(shards, tuple(path for path in found if path not in shards), MERGED) if shards else None


def with_shards(config: TrainConfig, merge: Merge) -> TrainConfig:
    """The settings with the shards in the place of the file that is still to be made of them."""
    return replace(config, data=replace(config.data, train=merge.shards))


def run_merge(merge: Merge, max_bad_share: float, on_bad: OnBad) -> MergeCounts:
    """Merge, in memory that does not grow with the rows.

    Args:
        merge: what of.
        max_bad_share: nothing is written where more of the rows than this cannot be used.
        on_bad: called with each of those.

    Raises:
        SettingError: the file is there by now.
        ManifestError: shards that cannot be read, too many bad rows, or a disk that refuses.
    """
    if merge.out.exists():
        raise SettingError(f"{merge.out} is there and is not replaced; move it away to merge anew.")
    return merge_rows(merge.shards, merge.out, on_bad=on_bad, max_bad_share=max_bad_share)
