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
_OPENING = 4_096


class TextGridError(TermCueError):
    """A TextGrid that cannot be used; the message names the file and the cure."""


def read_textgrid(path: Path, tier: str = "words") -> tuple[Word, ...]:
    """The words of a tier, as the aligner wrote them, in samples at 16 kHz from the start of the file's recording.

    Long and short text format in UTF-8 and UTF-16, as Praat writes them; only big-endian UTF-16 needs its byte order
    mark. Intervals without a word are left out; so are tags such as <COMMA>, but not <unk>, in which something is said.

    Args:
        path: the TextGrid.
        tier: its name, in letters of either case.

    Raises:
        TextGridError: no such file or tier, another format, or a file that was cut short.
    """
    try:
        _check_opening(path)
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


def _check_opening(path: Path) -> None:
    """Tell of what the library would take for text without a word in it.

    Raises:
        TextGridError: a pipe or device, nothing but zeros or blanks, or UTF-16 whose byte order is unknown.
        OSError: the file cannot be read.
    """
    if path.exists() and not path.is_file():
        raise TextGridError(f"{path} is no regular file; align its recording again")
    with path.open("rb") as stream:
        opening = stream.read(_OPENING)
    if not opening.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise TextGridError(f"{path} holds nothing; align its recording again")
    if opening[:1] == b"\0":
        raise TextGridError(f"{path} is UTF-16 without a byte order mark; save it as UTF-8, or align it again")


def _is_silence(label: str) -> bool:
    bare = label.strip().lower()
    return bare in SILENCES or (bare.startswith("<") and bare.endswith(">") and bare not in {"<unk>", "<oov>"})
