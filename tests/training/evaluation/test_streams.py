import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streaming.entries import Entry, make_form
from streaming.errors import SettingError
from training.corpus.examples import Example, TermSpan
from training.corpus.manifest import Word
from training.evaluation.stream_evidence import StreamEvidence
from training.evaluation.stream_metrics import Occurrence, Reference
from training.evaluation.streams import by_speaker, in_its_terms, is_stream, join_examples, open_stream, stream_results
from training.export.folder import uncalibrated


def write(path: Path, seconds: float) -> Path:
    """A recording of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = np.random.default_rng(0).uniform(-0.3, 0.3, round(seconds * 16_000))
    soundfile.write(path, audio, 16_000, subtype="FLOAT")
    return path


def example(path: Path, name: str, speaker: str = "s", start: int = 0) -> Example:
    """Half a second in which "ion" is said from 0.1 to 0.3 s."""
    words = (Word("an", 0, 1_600), Word("ion", 1_600, 4_800))
    return Example(name, path, start, 8_000, "an ion", (TermSpan("Ion", 1_600, 4_800),), words, speaker=speaker)


def test_rows_become_one_stream_with_its_reference(tmp_path: Path) -> None:
    """Each row's audio stands where its occurrences and words say, with a pause after it."""
    path = write(tmp_path / "a.wav", 2.0)
    rows = [example(path, "one"), replace(example(path, "two", start=8_000), words=())]
    stream = join_examples("dev", rows)
    pcm = np.frombuffer(stream.pcm, "<i2") / 32_768
    assert stream.reference.duration_s == pytest.approx(len(pcm) / 16_000)
    first, second = stream.reference.occurrences
    assert (first.term, first.start, first.end) == ("Ion", 0.1, 0.3)
    audio, _ = soundfile.read(path)
    begun = round((second.start - 0.1) * 16_000)
    assert 8_000 + 0.3 * 16_000 <= begun <= 8_000 + 0.9 * 16_000
    np.testing.assert_allclose(pcm[:8_000], audio[:8_000], atol=1e-4)
    np.testing.assert_allclose(pcm[begun : begun + 8_000], audio[8_000:16_000], atol=1e-4)
    assert not pcm[8_000:begun].any()
    spread = stream.reference.words[2:]
    assert [word for word, _, _ in spread] == ["an", "ion"]
    assert spread[1][1:] == pytest.approx((begun / 16_000 + 0.25, begun / 16_000 + 0.5))
    assert join_examples("dev", rows) == stream
    with pytest.raises(SettingError, match="no row"):
        join_examples("dev", [])


def test_a_speaker_is_in_one_stream_only(tmp_path: Path) -> None:
    """Streams are balanced, and named so that none counts as another take of the same voices."""
    path = tmp_path / "a.wav"
    rows = [example(path, f"r{i}", speaker=f"s{i % 6}") for i in range(24)]
    streams = by_speaker(rows, "dev", most=3)
    assert list(streams) == ["dev-a", "dev-b", "dev-c"]
    assert [len(rows) for rows in streams.values()] == [8, 8, 8]
    speakers = [{row.speaker for row in rows} for rows in streams.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 6
    assert list(by_speaker(rows[:1], "dev")) == ["dev-a"]


def stream_json(folder: Path, **other: object) -> Path:
    """A stream of one recording that lies in the folder above."""
    write(folder.parent / "speech" / "a.wav", 1.0)
    raw = {
        "name": "short",
        "duration_s": 1.0,
        "utterances": [{"path": "speech/a.wav", "offset_s": 0.0}],
        "occurrences": [{"term": "ion", "start": 0.1, "end": 0.3}],
        "words": [["ion", 0.1, 0.3]],
    }
    path = folder / "short.json"
    path.write_text(json.dumps({k: v for k, v in (raw | other).items() if v is not None}), "utf-8")
    return path


def test_streams_are_told_from_rows_and_opened(tmp_path: Path) -> None:
    """A stream is an object that begins with its name; its audio is found beside it, above it or where it is said."""
    folder = tmp_path / "streams"
    folder.mkdir()
    path = stream_json(folder)
    assert is_stream(path)
    for name, content in (("rows.json", '[{"name": "x"}]'), ("rows.jsonl", '{"name": "x"}'), ("glossary.json", "{}")):
        (folder / name).write_text(content, "utf-8")
        assert not is_stream(folder / name)
    assert not is_stream(tmp_path / "gone.json")
    for audio in (None, tmp_path):
        stream = open_stream(path, audio)
        assert (stream.name, len(stream.pcm), len(stream.reference.occurrences)) == ("short", 32_002, 1)
    with pytest.raises(SettingError, match=r"speech/a\.wav is not in .*--audio-dir"):
        open_stream(path, tmp_path / "elsewhere")


def test_a_file_that_is_no_stream_is_refused(tmp_path: Path) -> None:
    """What it lacks is named; a file that cannot be read as JSON is said to be so."""
    folder = tmp_path / "streams"
    folder.mkdir()
    with pytest.raises(SettingError, match="lacks occurrences"):
        open_stream(stream_json(folder, occurrences=None))
    (folder / "broken.json").write_text("{", "utf-8")
    with pytest.raises(SettingError, match=r"cannot read the stream .*broken\.json"):
        open_stream(folder / "broken.json")
    with pytest.raises(SettingError, match=r"gone\.json"):
        open_stream(folder / "gone.json")


def evidence(terms: tuple[str, ...]) -> StreamEvidence:
    """A stream of a minute in which these are said, heard with a glossary of two."""
    entries = (Entry("0", "Ion", {}, aliases=("charged atom",)), Entry("1", "5G", {}))
    forms = (make_form(0, "ion", []), make_form(1, "five g", []))
    said = tuple(Occurrence(term, i, i + 0.5) for i, term in enumerate(terms))
    return StreamEvidence("s", 2, Reference(60.0, said, ()), entries, forms, ())


def test_occurrences_are_called_as_the_glossary_calls_them() -> None:
    """By term, alias or spoken form, in any spelling; what is no entry cannot be found and does not count."""
    found = in_its_terms(evidence(("ION", "Charged-atom", "five g", "banana"))).reference
    assert [o.term for o in found.occurrences] == ["Ion", "Ion", "5G"]


def test_results_of_a_silent_stream_hold_no_nan() -> None:
    """Where nothing is hinted, recall is 0 and latencies are unknown; the JSON is strict."""
    results = stream_results(evidence(("Ion",)), uncalibrated())
    json.dumps(results, allow_nan=False)
    assert results["booth"]["recall"] == 0.0
    assert results["mt"]["hint_latency_p50_s"] is None
    assert results["recall_at_false_hints_per_hour"] == {"12": 0.0, "60": 0.0, "300": 0.0}
