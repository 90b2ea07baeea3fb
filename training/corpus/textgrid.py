"""Forced alignments: the words of a Praat TextGrid with their times."""

from pathlib import Path

from praatio import textgrid
from praatio.utilities.errors import PraatioException

from streaming.errors import TermCueError
from streaming.events import SAMPLE_RATE
from training.corpus.manifest import Word

SILENCES = frozenset({"", "<eps>", "sp", "sil", "<sil>", "<p:>", "#"})
"""Labels of intervals in which no word is said."""
_SLACK_S = 0.001


class TextGridError(TermCueError):
    """A TextGrid that cannot be used; the message names the file and the cure."""


def read_textgrid(path: Path, tier: str = "words") -> tuple[Word, ...]:
    """The words of a tier, as the aligner wrote them, in samples at 16 kHz from the start of the file's recording.

    Long and short text format, UTF-8 and UTF-16, with and without byte order mark. Intervals without a word are left
    out; so are tags such as <COMMA>, but not <unk>, in which something is said.

    Args:
        path: the TextGrid.
        tier: its name, in letters of either case.

    Raises:
        TextGridError: no such file or tier, another format, or a file that was cut short.
    """
    try:
        grid = textgrid.openTextgrid(str(path), True, reportingMode="silence", duplicateNamesMode="rename")
    except OSError as error:
        raise TextGridError(f"cannot read the alignment {path}: {error.strerror}; align its recording again") from error
    except (PraatioException, ValueError, IndexError, KeyError, TypeError) as error:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise TextGridError(f"{path} is no sound TextGrid ({said}); align its recording again") from error
    found = next((name for name in grid.tierNames if name.lower() == tier.lower()), None)
    if found is None:
        has = ", ".join(map(repr, grid.tierNames)) or "none"
        raise TextGridError(f"{path} has no tier {tier!r}; it has {has}; name the one that holds the words")
    intervals = grid.getTier(found)
    if not isinstance(intervals, textgrid.IntervalTier):
        raise TextGridError(f"the tier {found!r} of {path} holds points, not intervals; name the one with the words")
    # Intervals always fill their tier, so an end before its end can only be a file that breaks off.
    if not intervals.entries or intervals.entries[-1].end < grid.maxTimestamp - _SLACK_S:
        raise TextGridError(f"the tier {found!r} of {path} ends before the recording does; align it again")
    return tuple(
        Word(label, round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
        for start, end, label in intervals.entries
        if not _is_silence(label)
    )


def _is_silence(label: str) -> bool:
    bare = label.strip().lower()
    return bare in SILENCES or (bare.startswith("<") and bare.endswith(">") and bare not in {"<unk>", "<oov>"})
