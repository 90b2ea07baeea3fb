import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming.events import SAMPLE_RATE
from tests.benchmarks.peers_buffer import FRAME_S, BufferPolicy, last_pause, next_start
from tests.benchmarks.peers_case import given_up
from tests.benchmarks.peers_live import listen
from tests.benchmarks.peers_matching import Decode, PhraseMatcher, Sighting, TimedWord, sightings_of, tokens_of
from tests.benchmarks.peers_prepare import Prepared, read_terms, whole_utterances
from tests.benchmarks.peers_rows import Heard, cut_reference, row_of
from tests.benchmarks.peers_table import COLUMNS, header, line, unit_line
from tests.benchmarks.peers_whisper import decode_live, decode_utterances, within
from training.evaluation.stream_metrics import Occurrence, Reference, TimedHint, score_stream

POLICY = BufferPolicy()
REFERENCE = Reference(
    120.0,
    (Occurrence("drury lane", 10.0, 10.9), Occurrence("plague", 59.8, 60.2), Occurrence("levant", 100.0, 100.5)),
    (("drury", 10.0, 10.5), ("lane", 10.5, 10.9), ("plague", 59.8, 60.2), ("levant", 100.0, 100.5)),
)


def timed(text: str, start: float = 0.0) -> tuple[TimedWord, ...]:
    """Words of half a second each, one after the other."""
    return tuple(TimedWord(word, start + i / 2, start + i / 2 + 0.5) for i, word in enumerate(text.split()))


def prepared(folder: Path, seconds: float, bounds: tuple[tuple[float, float], ...] = ()) -> Prepared:
    """A stream whose samples tell the second in which they stand."""
    second = np.arange(round(seconds * SAMPLE_RATE)) // SAMPLE_RATE + 1
    (folder / "talk.pcm").write_bytes(second.astype("<i2").tobytes())
    return Prepared(folder, "talk", Reference(seconds, (), ()), bounds)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (" Saint-Giles,", ("saint", "giles")),
        ("“Andrew’s”", ("andrew's",)),
        ("1665.", ("1665",)),
        ("café", ("cafe",)),
        ("— …", ()),
    ],
)
def test_words_are_compared_without_case_accents_and_punctuation(text: str, tokens: tuple[str, ...]) -> None:
    """Hyphens part words; apostrophes inside a word and digits stay."""
    assert tokens_of(text) == tokens


def test_a_phrase_has_the_span_of_its_words() -> None:
    """Terms that overlap are all found, as the reference counts them; a part of a word is no term."""
    matcher = PhraseMatcher(["Drury Lane", "drury", "lan", "in the", "--"])
    assert matcher.find(timed("plague, in Drury-Lane. Lane", 3.0)) == [
        ("drury", 4.0, 4.5),
        ("Drury Lane", 4.0, 4.5),
    ]
    assert matcher.find(timed("In 1665 the")) == []
    assert PhraseMatcher([]).find(timed("any words")) == []


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), max_size=6),
    st.lists(st.sampled_from("abc"), max_size=12),
)
def test_phrases_equal_a_search_for_each(terms: list[list[str]], words: list[str]) -> None:
    """The lookup by tokens finds what a plain comparison of every term at every place finds."""
    texts = {" ".join(term) for term in terms}
    found = PhraseMatcher(sorted(texts)).find(timed(" ".join(words)))
    places = [
        (text, i) for i in range(len(words)) for text in texts if words[i : i + len(text.split())] == text.split()
    ]
    assert sorted((term, round(start * 2)) for term, start, _ in found) == sorted(places)


def test_an_occurrence_is_told_once_at_first_sight() -> None:
    """Later decodes of the same stretch say nothing new, even if the words move or vanish; a later one is another."""
    matcher = PhraseMatcher(["plague"])
    decodes = [
        Decode(1.0, 0.2, ()),
        Decode(2.0, 0.3, timed("plague", 1.4)),
        Decode(3.0, 0.4, timed("plagues", 1.4)),
        Decode(4.0, 0.5, timed("the plague", 1.2)),
        Decode(9.0, 0.6, timed("plague plague", 3.5)),
    ]
    assert sightings_of(decodes, matcher) == [
        Sighting(TimedHint("plague", 1.4, 1.9, 2.0), 0.3),
        Sighting(TimedHint("plague", 3.5, 4.0, 9.0), 0.6),
    ]


def flags(text: str) -> list[bool]:
    """Frames of 20 ms from a picture: `#` is speech, `.` is none; each sign is 0.1 s."""
    return [sign == "#" for sign in text for _ in range(5)]


def test_the_last_pause_after_speech_is_found() -> None:
    """Silence before the first speech and pauses that are too short do not count."""
    assert last_pause(flags("....###"), 15) is None
    assert last_pause(flags("##..##"), 15) is None
    assert last_pause(flags("##...##....#"), 15) == 45
    assert last_pause(flags("##...##.."), 15) == 17
    assert last_pause(flags("##..."), 15) == 17
    assert last_pause([], 15) is None


def test_a_short_buffer_is_kept_and_silence_is_dropped() -> None:
    """The recogniser wants context; of a buffer without speech only its last 0.3 s stay."""
    assert next_start(5.0, 6.0, flags("###....###"), (), POLICY) == 5.0
    assert next_start(5.0, 9.0, flags("." * 40), (), POLICY) == pytest.approx(8.7)
    assert next_start(5.0, 5.1, flags("."), (), POLICY) == 5.0


def test_a_long_buffer_is_cut_in_its_last_pause() -> None:
    """What stands after the pause is decoded again with what follows."""
    speech = flags("#" * 70 + "...." + "#" * 16)
    assert next_start(5.0, 14.0, speech, (), POLICY) == pytest.approx(5.0 + 7.2)
    assert next_start(5.0, 14.0, flags("#" * 90), (), POLICY) == 5.0


def test_a_buffer_without_a_pause_is_cut_after_a_sure_word() -> None:
    """Beyond 20 s the cut is the end of the last word that ended a second ago, or a second ago without any."""
    speech, words = flags("#" * 210), timed("one two three four", 23.6)
    assert next_start(5.0, 26.0, speech, words, POLICY) == pytest.approx(24.6)
    assert next_start(5.0, 26.0, speech, (), POLICY) == pytest.approx(25.0)


def test_the_growing_buffer_is_decoded_each_second_where_there_is_speech(tmp_path: Path) -> None:
    """Each decode hears from the last cut to now; silence is not decoded; words are there at the end of their second."""
    asked = []

    def recognise(audio: NDArray[np.float32], offset: float) -> tuple[TimedWord, ...]:
        asked.append((round(offset, 2), round(offset + len(audio) / SAMPLE_RATE, 2)))
        return timed("word", offset)

    # Nothing in the first two seconds, then speech with a pause in the second from 9 s on.
    def is_speech(frame: NDArray[np.float32]) -> bool:
        return float(frame.max()) * 32_768 not in (1.0, 2.0, 10.0)

    stream = prepared(tmp_path, 12.5)
    decodes = list(decode_live(recognise, is_speech, stream, POLICY))
    assert [decode.at for decode in decodes] == [*range(1, 13), 12.5]
    assert [len(decode.words) for decode in decodes] == [0, 0] + [1] * 11
    assert asked[0] == (1.7, 3.0)
    assert asked[6:8] == [(1.7, 9.0), (1.7, 10.0)]
    assert asked[8:] == [(9.5, 11.0), (9.5, 12.0), (9.5, 12.5)]


@given(st.lists(st.booleans(), min_size=50, max_size=50 * 40).map(lambda flags: flags[: len(flags) // 50 * 50]))
def test_every_moment_of_speech_is_decoded(speech: list[bool]) -> None:
    """No cut drops a frame of speech that no decode has heard, and no buffer grows without bound."""
    start, heard = 0, 0
    for now in range(50, len(speech) + 1, 50):
        buffer = speech[start:now]
        if any(buffer):
            assert not any(speech[heard:start])
            heard = now
        following = next_start(start * FRAME_S, now * FRAME_S, buffer, (), POLICY)
        start += round((following - start * FRAME_S) / FRAME_S)
        assert start <= now
        assert (now - start) * FRAME_S <= POLICY.longest_s + 1e-6


def test_utterances_are_decoded_alone_and_told_at_their_end(tmp_path: Path) -> None:
    """The recogniser gets exactly the audio between the bounds, and its place."""
    asked = []

    def recognise(audio: NDArray[np.float32], offset: float) -> tuple[TimedWord, ...]:
        asked.append((len(audio), round(float(audio[0]) * 32_768), offset))
        return timed("a word", offset)

    stream = prepared(tmp_path, 5.0, ((0.0, 1.5), (2.0, 4.0)))
    decodes = list(decode_utterances(recognise, stream))
    assert asked == [(24_000, 1, 0.0), (32_000, 3, 2.0)]
    assert [(decode.at, decode.words[0].start) for decode in decodes] == [(1.5, 0.0), (4.0, 2.0)]
    assert b"".join(stream.chunks(0.1)) == (tmp_path / "talk.pcm").read_bytes()


def test_decodes_stop_at_the_limit() -> None:
    """The one that exceeds it is the last; a case that was stopped says so."""
    decodes = [Decode(float(i), 1.0, ()) for i in range(5)]
    assert [decode.at for decode in within(decodes, 2.5)] == [0.0, 1.0, 2.0]
    assert given_up(60.0, 60.5, 9.0) == ""
    assert given_up(90.0, 600.0, 12.3) == "given up after 12 s of computing: judged on 1.5 of 10.0 min"


class Echo:
    """A listener that hints at every chunk and at the end."""

    def __init__(self) -> None:
        self._heard = 0.0

    def feed(self, chunk: bytes) -> list[TimedHint]:
        self._heard += len(chunk) / 32_000
        return [TimedHint("chunk", 0.0, self._heard, self._heard)]

    def finish(self) -> list[TimedHint]:
        return [TimedHint("end", 0.0, self._heard, self._heard)]


def test_a_listener_hears_all_or_up_to_the_limit() -> None:
    """Hints keep their order; what was heard is counted in seconds; beyond the limit the end is not asked for."""
    sightings, heard, spent = listen(Echo(), [b"\0" * 3_200] * 3, 60.0)
    assert [s.hint.term for s in sightings] == ["chunk", "chunk", "chunk", "end"]
    assert heard == pytest.approx(0.3)
    assert 0 <= spent < 60
    sightings, heard, _ = listen(Echo(), [b"\0" * 3_200] * 3, -1.0)
    assert ([s.hint.term for s in sightings], heard) == (["chunk"], 0.1)


def test_a_stream_is_cut_after_its_last_whole_utterance() -> None:
    """No utterance is heard in part; too short a time for the first is refused."""
    bounds = [(0.0, 9.0), (9.3, 20.0), (20.3, 31.0)]
    assert whole_utterances(bounds, 30.0) == (tuple(bounds[:2]), 20.0)
    assert whole_utterances(bounds, None) == (tuple(bounds), 31.0)
    with pytest.raises(ValueError, match=r"ends at 9\.0 s"):
        whole_utterances(bounds, 5.0)


def test_a_cut_reference_holds_what_was_spoken_before_the_cut() -> None:
    """A term that is cut through does not count as missed; its word still tells what was spoken there."""
    part = cut_reference(REFERENCE, 60.0)
    assert [o.term for o in part.occurrences] == ["drury lane"]
    assert [w[0] for w in part.words] == ["drury", "lane", "plague"]
    assert part.duration_s == 60.0
    assert cut_reference(REFERENCE, 120.0) is REFERENCE
    late = score_stream(part, [TimedHint("plague", 59.8, 60.0, 60.0)])
    assert (late.found, late.false, late.neutral) == (0, 0, 1)


def test_a_row_judges_what_was_heard() -> None:
    """Rates are per hour and per second of what was heard; computing is added to latency only where asked."""
    sightings = (
        Sighting(TimedHint("drury lane", 10.0, 10.9, 11.4), 0.25),
        Sighting(TimedHint("levant", 30.0, 30.5, 31.0), 0.25),
    )
    heard = Heard(sightings, 60.0, 6.0, 1.0, 200.0, unit_ms=25.0)
    row = row_of("termcue", "talk", 300, REFERENCE, heard)
    assert (row["recall"], row["precision"], row["false_per_hour"]) == (1.0, 0.5, 60.0)
    assert row["latency_p50"] == pytest.approx(0.5)
    assert row["computed_p95"] == pytest.approx(0.75)
    assert (row["cpu_per_s"], row["units_per_s"]) == (0.1, 4.0)
    json.dumps(row, allow_nan=False)
    silent = row_of("none", "talk", 300, REFERENCE, replace(heard, sightings=(), unit_ms=None))
    assert (silent["latency_p50"], silent["units_per_s"]) == (None, None)


def test_the_table_has_a_cell_for_every_column() -> None:
    """Rows are as wide as the header, figures that do not exist are dashes, and a note stands below its row."""
    row = row_of("peer", "talk", 300, REFERENCE, Heard((), 60.0, 6.0, 1.0, 200.0, note="given up"))
    shown, note = line(row).split("\n")
    assert len(shown) == len(header())
    assert note.strip() == "given up"
    assert shown.count("–") == sum(row[name] is None for name, *_ in COLUMNS) == 5
    assert unit_line([row]) == ""
    assert unit_line([{"unit_ms": 20.0}, {"unit_ms": 30.0}, {"unit_ms": 21.0}]).startswith("U = 21.0 ms (20.0 to 30.0)")


def test_terms_are_the_first_column_of_a_glossary(tmp_path: Path) -> None:
    """The header names it; a comma inside quotes does not part it."""
    path = tmp_path / "g.csv"
    path.write_text('term,translation\n"lane, drury",x\nplague,y\n', "utf-8")
    assert read_terms(path) == ["lane, drury", "plague"]


def test_the_parent_of_the_measured_processes_stays_small() -> None:
    """It explains itself without numpy: a child's peak memory would begin with its parent's."""
    path = Path(__file__).with_name("peers.py")
    code = (
        "import runpy, sys; sys.argv[:] = ['peers.py', '--help']\n"
        f"try: runpy.run_path({str(path)!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "import tests.benchmarks.peers_table\n"
        "assert 'numpy' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--fetch-whisper" in told
