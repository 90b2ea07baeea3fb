import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.training.corpus.given_rows import CHUNK, NO_TERM, SAMPLE, write
from training.corpus.examples import Example, TermSpan
from training.corpus.manifest import ManifestError, Word
from training.corpus.rows import read_examples


@pytest.mark.parametrize("listed", [True, False], ids=["list", "lines"])
def test_term_level_chunks_are_read_unchanged(tmp_path: Path, listed: bool) -> None:
    """A chunk's span counts from the start of its audio; the file is taken as long as it is."""
    term, free = read_examples([write(tmp_path / "chunks.json", CHUNK, NO_TERM, listed=listed)])
    assert term == Example(
        "POD0000000003_S0000123_term_Kalman_filter_4.10_4.78_ctx1.0s",
        tmp_path / CHUNK["term_chunk_audio"],
        0,
        0,
        CHUNK["term_chunk_text"],
        (TermSpan("Kalman filter", 16_000, 26_880),),
        recording="POD0000000003",
    )
    assert free.is_no_term
    assert (free.example_id, free.recording) == ("POD0000000003_S0000123_no_term_0_none", "POD0000000003")


def test_a_chunk_at_the_start_of_its_segment_is_clamped(tmp_path: Path) -> None:
    """Where the context would begin before the segment, the clamped start of the row counts, not the theoretical one."""
    row = CHUNK | {
        "term_start_time": 0.3,
        "term_end_time": 0.9,
        "extended_start_time": 0.0,
        "extended_end_time": 1.9,
        "extended_duration": 1.9,
        "actual_extended_start": -0.7,
    }
    (example,) = read_examples([write(tmp_path / "a.json", row)])
    assert example.terms == (TermSpan("Kalman filter", 4_800, 14_400),)


def test_lengths_come_from_what_a_row_tells(tmp_path: Path) -> None:
    """Without a duration the ends of the audio tell it; of several terms without spans each is anywhere in it."""
    row = {k: v for k, v in CHUNK.items() if k != "extended_duration"}
    row |= {"term_chunk_audio_ground_truth_terms": ["ion", "Kalman filter"]}
    (example,) = read_examples([write(tmp_path / "a.json", row)])
    assert example.terms == (TermSpan("ion", 0, 42_880), TermSpan("Kalman filter", 0, 42_880))
    (example,) = read_examples(
        [write(tmp_path / "a.json", row | {"term_spans": [["ion", 1, 1.5], ["Kalman filter", 2, 2.5]]})]
    )
    assert example.terms == (TermSpan("ion", 16_000, 24_000), TermSpan("Kalman filter", 32_000, 40_000))
    sliced = CHUNK | {"term_chunk_audio": "rec.wav:100:16000", "term_end_time": 5.2}
    with pytest.raises(ManifestError, match=r"lasts 1\.100 s, longer than its audio of 1\.000 s"):
        next(read_examples([write(tmp_path / "a.json", sliced)]))


def test_preprocessed_samples_are_read_unchanged(tmp_path: Path) -> None:
    """Where times are unknown a term is somewhere in its stretch; path:offset:frames says which stretch."""
    (example,) = read_examples([write(tmp_path / "samples.json", SAMPLE)])
    assert (example.audio, example.start_sample, example.samples) == (
        Path("/corpus/POD0000000003.opus"),
        16_000,
        48_000,
    )
    assert example.terms == (TermSpan("ion", 0, 48_000), TermSpan("Kalman filter", 0, 48_000))
    assert (example.example_id, example.recording) == ("POD0000000003_S0000007", "POD0000000003")


def test_a_row_that_tells_no_length_asks_its_audio(tmp_path: Path) -> None:
    """Without times and lengths the header of the file says how long the chunk is; without the file the row is bad."""
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 16_000)
    row = {k: v for k, v in CHUNK.items() if "time" not in k and "duration" not in k} | {"term_chunk_audio": "a.wav"}
    (example,) = read_examples([write(tmp_path / "a.json", row)])
    assert example.terms == (TermSpan("Kalman filter", 0, 8_000),)
    with pytest.raises(ManifestError, match=r"how long .*absent\.wav is"):
        next(read_examples([write(tmp_path / "a.json", row | {"term_chunk_audio": "absent.wav"})]))


def test_words_of_a_chunk_are_read_where_it_has_them(tmp_path: Path) -> None:
    """In seconds from the start of its audio, cut ones too, in letters; a row without them has none."""
    timed = CHUNK | {"timed_words": [["We", -0.1, 0.2], ["twenty-one", 0.5, 1.4], ["…", 2, 2.1]]}
    plain, example = read_examples([write(tmp_path / "a.json", CHUNK, timed)])
    assert plain.words == ()
    assert example.words[0] == Word("we", -1_600, 3_200)
    assert example.words[1:] == (Word("twenty", 8_000, 17_600), Word("one", 17_600, 22_400))
    assert dataclasses.replace(example, words=()) == plain
    with pytest.raises(ManifestError, match=r"row 1: .*no \[text, start, end\]"):
        next(read_examples([write(tmp_path / "a.json", CHUNK | {"timed_words": [["we", 0.1]]})]))


def test_rows_without_terms_are_no_no_term_rows(tmp_path: Path) -> None:
    """A manifest that knows nothing of terms is refused: its rows would be taken for speech without any."""
    path = write(tmp_path / "m.jsonl", {"id": "u", "path": "u.flac", "duration_s": 1.0, "words": []}, listed=False)
    with pytest.raises(ManifestError, match="has no terms; match it against a glossary"):
        next(read_examples([path]))
