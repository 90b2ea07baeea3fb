import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import SettingError
from streaming.events import SpeechEnded, SpeechStarted
from streaming.segmentation import SegmentationConfig, Segmenter

FRAME = 320


def events_of(segmenter: Segmenter, flags: str) -> list[SpeechStarted | SpeechEnded]:
    """What a segmenter says of a stream of frames, `s` for speech."""
    return [event for flag in flags for event in segmenter.feed(flag == "s")] + segmenter.finish()


def slow_segments(flags: str, start: int, hangover: int, pre_roll: int) -> list[tuple[int, int]]:
    """Segments in samples, found with the whole stream in view; times in frames."""
    segments: list[tuple[int, int]] = []
    position = 0
    while (onset := flags.find("s" * max(start, 1), position)) >= 0:
        quiet = flags.find("." * max(hangover, 1), onset + max(start, 1))
        last = len(flags[: quiet if quiet >= 0 else len(flags)].rstrip("."))
        end = min(last + hangover, len(flags))
        earliest = segments[-1][1] if segments else 0
        segments.append((max((onset - pre_roll) * FRAME, earliest), end * FRAME))
        position = end if quiet >= 0 else len(flags)
    return segments


@given(
    flags=st.text("s.", max_size=80),
    start=st.integers(0, 4),
    hangover=st.integers(1, 6),
    pre_roll=st.integers(0, 5),
)
def test_segments_are_those_seen_in_hindsight(flags: str, start: int, hangover: int, pre_roll: int) -> None:
    """Frame by frame come the segments that one finds with the whole stream in view."""
    config = SegmentationConfig(pre_roll_ms=20 * pre_roll, hangover_ms=20 * hangover, start_ms=20 * start)
    events = events_of(Segmenter(config, FRAME), flags)
    bounds = [event.sample for event in events]
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded] * (len(events) // 2)
    assert list(zip(bounds[::2], bounds[1::2], strict=True)) == slow_segments(flags, start, hangover, pre_roll)
    assert bounds == sorted(bounds)


def test_default_bounds_of_one_word() -> None:
    """Speech at 1.0..1.5 s is the segment 0.7..1.9 s: 300 ms of pre-roll, 400 ms of hangover."""
    events = events_of(Segmenter(SegmentationConfig(), FRAME), "." * 50 + "s" * 25 + "." * 50)
    assert events == [SpeechStarted(11_200), SpeechEnded(30_400)]


def test_one_lone_frame_starts_no_segment_but_is_remembered() -> None:
    """A click is no speech segment, yet a gate on the last speech sees it."""
    segmenter = Segmenter(SegmentationConfig(), FRAME)
    assert segmenter.last_speech_sample is None
    assert events_of(segmenter, "..s..") == []
    assert segmenter.last_speech_sample == 3 * FRAME


def test_in_speech_lasts_through_short_gaps() -> None:
    """A gap shorter than the hangover does not end a segment."""
    segmenter = Segmenter(SegmentationConfig(), FRAME)
    started = [segmenter.feed(True) for _ in range(3)]
    assert started == [[], [], [SpeechStarted(0)]]
    assert [segmenter.feed(False) for _ in range(19)] == [[]] * 19
    assert segmenter.in_speech
    assert segmenter.feed(False) == [SpeechEnded(23 * FRAME)]
    assert not segmenter.in_speech


def test_reset_starts_a_new_stream() -> None:
    """After reset nothing of the old stream is left."""
    segmenter = Segmenter(SegmentationConfig(), FRAME)
    events_of(segmenter, "...sssss")
    segmenter.reset()
    assert segmenter.last_speech_sample is None
    assert events_of(segmenter, "sss") == [SpeechStarted(0), SpeechEnded(3 * FRAME)]


@pytest.mark.parametrize("name", ["pre_roll_ms", "hangover_ms", "start_ms"])
def test_times_out_of_range_are_refused(name: str) -> None:
    """A negative or endless time is refused by name."""
    for value in (-1, 10_001):
        with pytest.raises(SettingError, match=f"{name} = {value}"):
            SegmentationConfig(**{name: value})
