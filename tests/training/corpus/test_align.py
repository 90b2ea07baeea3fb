import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import training.corpus.align as align_module
from streaming.errors import SettingError
from training.corpus.align import PARTS, REJECTED, STATE, align
from training.corpus.contexts import ContextConfig
from training.corpus.cutting import ChunkWriteError, CutConfig
from training.corpus.lines import raw_rows, row_files
from training.corpus.manifest import ManifestError, Word
from training.corpus.merge import merge_rows
from training.corpus.parts import AlignCounts, AlignJob, Part, PartMaker
from training.corpus.rows import read_examples
from training.corpus.schemas import example_of
from training.loop.pronunciations import Pronunciations
from training.loop.rows import alignment_target

HEADER = "id\taudio\tn_frames\tspeaker\tsrc_text\tsrc_lang"
WORDS = (
    "so we use a kalman filter here and then nothing more of it is said for a while but the ion drive is fine".split()
)
SECONDS = 0.4
LENGTH = 16_000 * 12
GLOSSARY = [{"term": "Kalman filter"}, {"term": "ion"}, {"term": "Ion drive"}, {"term": "unheard"}]


@dataclass(frozen=True)
class Corpus:
    """Segments of 12 s that say WORDS, each word 0.4 s, from one recording per two segments."""

    folder: Path
    job: AlignJob

    def rewrite(self, change: Callable[[list[str]], list[str]]) -> None:
        lines = (self.folder / "train.tsv").read_text().splitlines()
        (self.folder / "train.tsv").write_text("\n".join(change(lines)) + "\n")

    def textgrid(self, segment: str) -> Path:
        return self.folder / "textgrids" / f"{segment}.TextGrid"


def textgrid(words: list[str], seconds: float) -> str:
    """Short format: the words one after the other, then silence."""
    bounds = [(i * SECONDS, (i + 1) * SECONDS, word) for i, word in enumerate(words)]
    bounds.append((len(words) * SECONDS, seconds, ""))
    body = "".join(f'{a:.2f}\n{b:.2f}\n"{w}"\n' for a, b, w in bounds)
    head = f'File type = "ooTextFile short"\n"TextGrid"\n\n0\n{seconds}\n<exists>\n1\n'
    return f'{head}"IntervalTier"\n"words"\n0\n{seconds}\n{len(bounds)}\n{body}'


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Six segments."""
    segments = 6
    rng = np.random.default_rng(5)
    for name in ("audio", "textgrids"):
        (tmp_path / name).mkdir()
    lines = [HEADER]
    for i in range(segments):
        recording, offset = f"REC{i // 2}", LENGTH * (i % 2)
        path = tmp_path / "audio" / f"{recording}.wav"
        if not path.exists():
            soundfile.write(path, rng.uniform(-0.3, 0.3, 2 * LENGTH), 16_000, subtype="PCM_16")
        segment = f"{recording}_S{i:07d}"
        text = " ".join(WORDS)
        lines.append(f"{segment}\taudio/{recording}.wav:{offset}:{LENGTH}\t{LENGTH}\tN/A\t{text}\ten")
        (tmp_path / "textgrids" / f"{segment}.TextGrid").write_text(textgrid(WORDS, LENGTH / 16_000))
    (tmp_path / "train.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "glossary.json").write_text(json.dumps(GLOSSARY))
    job = AlignJob(
        tmp_path / "train.tsv",
        tmp_path / "textgrids",
        tmp_path / "glossary.json",
        tmp_path / "out",
        cut=CutConfig(contexts=ContextConfig()),
    )
    return Corpus(tmp_path, job)


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds, but for the state, which has times of files in it."""
    found = (f for f in folder.rglob("*") if f.is_file() and f != folder / STATE)
    return {str(f.relative_to(folder)): f.read_bytes() for f in found}


def test_a_corpus_becomes_chunks_and_contexts(corpus: Corpus) -> None:
    """The counts add up, the files hold what they count, and the longer term took the words of the shorter one."""
    seen: list[tuple[int, int]] = []
    counts = align(corpus.job, progress=lambda done, total: seen.append((done, total)))
    assert counts == AlignCounts(lines=6, chunks=12, no_term_chunks=1, contexts=counts.contexts, no_term_contexts=1)
    assert seen == [(6, 6)]
    chunks = list(read_examples([corpus.job.out / "term_level_chunks.json"]))
    assert sum(c.is_no_term for c in chunks) == counts.no_term_chunks
    assert len(chunks) == counts.chunks + counts.no_term_chunks
    assert {span.term for chunk in chunks for span in chunk.terms} == {"Kalman filter", "Ion drive"}
    contexts = list(read_examples([corpus.job.out / "contexts.jsonl"]))
    assert len(contexts) == counts.contexts + counts.no_term_contexts > 5
    assert (corpus.job.out / REJECTED).read_bytes() == b""
    assert not (corpus.job.out / PARTS).exists()
    assert len({example.example_id for example in chunks + contexts}) == len(chunks + contexts)


def test_a_chunk_is_in_the_schema_of_the_seed(corpus: Corpus) -> None:
    """Keys, times and the name of the audio are those of the earlier system, and the audio is that of the recording."""
    align(corpus.job)
    row: dict[str, Any] = dict(next(iter(raw_rows(corpus.job.out / "term_level_chunks.json"))).value)
    expected = {
        "segment_id": "REC0_S0000000",
        "term_chunk_audio": "audio/REC0/REC0_S0000000_term_Kalman_filter_1.60_2.40_ctx1.0s.wav",
        "term_chunk_text": "we use a kalman filter here and",
        "term_chunk_audio_ground_truth_terms": ["Kalman filter"],
        "term_start_time": 1.6,
        "term_end_time": 2.4,
        "term_start_time_abs": 1.6,
        "term_end_time_abs": 2.4,
        "term_duration": 0.8,
        "extended_start_time": 0.6,
        "extended_end_time": 3.4,
        "extended_duration": 2.8,
        "context_seconds": 1.0,
    }
    assert {key: row[key] for key in expected} == expected
    whole, _ = soundfile.read(corpus.folder / "audio" / "REC0.wav", dtype="int16")
    chunk, rate = soundfile.read(corpus.job.out / row["term_chunk_audio"], dtype="int16")
    assert rate == 16_000
    np.testing.assert_array_equal(chunk, whole[9_600:54_400])


def test_spans_are_where_the_words_are(corpus: Corpus) -> None:
    """Every labelled span of chunks and contexts is, in its recording, a stretch of the alignment that says the term."""
    align(replace(corpus.job, cut=CutConfig(contexts=ContextConfig(), audio_format="flac")))
    said = {"Kalman filter": {(25_600, 38_400)}, "Ion drive": {(20 * 6_400, 22 * 6_400)}}
    for example in read_examples([corpus.job.out / "contexts.jsonl"]):
        offset = LENGTH * (int(example.example_id.split("_S")[1][:7]) % 2)
        for span in example.terms:
            place = example.start_sample - offset
            assert (span.start_sample + place, span.end_sample + place) in said[span.term]
        for word in example.words:
            if word.start_sample >= 0 and word.end_sample <= example.samples:
                assert word.text in example.text.split()
    whole, _ = soundfile.read(corpus.folder / "audio" / "REC0.wav", dtype="int16")
    for example in read_examples([corpus.job.out / "term_level_chunks.json"]):
        if example.example_id.startswith("REC0_S0000000_term"):
            (span,) = example.terms
            chunk, _ = soundfile.read(example.audio, dtype="int16")
            ((first, last),) = said[span.term]
            np.testing.assert_array_equal(chunk[span.start_sample : span.end_sample], whole[first:last])


@pytest.mark.parametrize("contexts", [None, ContextConfig()])
def test_what_is_written_is_a_folder_of_shards(corpus: Corpus, contexts: ContextConfig | None) -> None:
    """All its files by name are rows, with one segment rejected or none: it is read, also its first file, and merged."""
    corpus.textgrid("REC1_S0000003").unlink()
    job = replace(corpus.job, cut=CutConfig(contexts=contexts), max_bad_share=0.5)
    counts = align(job)
    assert counts.rejected == 1
    assert align(job) == counts
    names = ["term_level_chunks.json"] if contexts is None else ["contexts.jsonl", "term_level_chunks.json"]
    assert [file.name for file in row_files([job.out])] == names
    rows = counts.chunks + counts.no_term_chunks + counts.contexts + counts.no_term_contexts
    assert len(list(read_examples([job.out]))) == rows
    assert next(read_examples([job.out], single_slice=True)).audio.exists()
    assert merge_rows([job.out], corpus.folder / "merged.jsonl").rows == rows


def test_chunks_know_when_their_words_are_said(corpus: Corpus) -> None:
    """With a term and without, cut words too: each lies in its recording where the alignment has it."""
    align(corpus.job)
    said = {(i * 6_400, (i + 1) * 6_400, word) for i, word in enumerate(WORDS)}
    for raw in raw_rows(corpus.job.out / "term_level_chunks.json"):
        example = example_of(raw)
        first = round(raw.value["extended_start_time"] * 16_000)
        last = round(raw.value["extended_end_time"] * 16_000)
        heard = {(w.start_sample + first, w.end_sample + first, w.text) for w in example.words}
        assert heard == {word for word in said if word[0] < last and word[1] > first}
        assert len(heard) == len(example.words) > 0
    chunk = next(read_examples([corpus.job.out / "term_level_chunks.json"]))
    assert chunk.words[0] == Word("we", -3_200, 3_200)
    assert len(alignment_target(chunk.words, 44_800, Pronunciations()).characters)


def test_no_term_rows_hold_no_term(corpus: Corpus) -> None:
    """Asked for many, each gap gives one at most, and none of them touches a term."""
    ratio = replace(CutConfig().chunks, no_term_ratio=5.0)
    counts = align(replace(corpus.job, cut=CutConfig(ratio, ContextConfig())))
    assert counts.no_term_chunks >= 6
    for raw in raw_rows(corpus.job.out / "term_level_chunks.json"):
        if raw.value.get("is_no_term_chunk"):
            assert raw.value["term_chunk_audio_ground_truth_terms"] == []
            assert raw.value["segment_id"].split("_no_term_")[1].isdigit()
            start, end = raw.value["extended_start_time"], raw.value["extended_end_time"]
            assert end - start >= 2.5
            assert end <= 1.6 or (start >= 2.4 and end <= 8.0) or start >= 8.8


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_run_goes_on(corpus: Corpus, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """A run that was killed in its second part ends, by one process or two, with the files of an unbroken run."""
    monkeypatch.setattr(align_module, "PART_LINES", 2)
    unbroken = align(replace(corpus.job, out=corpus.folder / "unbroken"))
    made: list[int] = []
    real = PartMaker.make

    def stopping(maker: PartMaker, part: Part) -> None:
        if part.number == 1 and not made:
            made.append(1)
            raise KeyboardInterrupt
        real(maker, part)

    monkeypatch.setattr(PartMaker, "make", stopping)
    with pytest.raises(KeyboardInterrupt):
        align(corpus.job)
    assert len(list((corpus.job.out / PARTS).iterdir())) == 1
    monkeypatch.setattr(PartMaker, "make", real)
    assert align(corpus.job, workers=workers) == unbroken
    assert files(corpus.job.out) == files(corpus.folder / "unbroken")


def test_a_finished_run_is_not_made_again(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same job gives its counts at once; another manifest is made, other settings are refused."""
    counts = align(corpus.job)
    monkeypatch.setattr(align_module, "PartMaker", None)
    assert align(corpus.job) == counts
    with pytest.raises(SettingError, match=r"rows of other settings .*cut.*another --out"):
        align(replace(corpus.job, cut=CutConfig()))
    monkeypatch.undo()
    corpus.rewrite(lambda lines: lines[:-1])
    assert align(corpus.job).lines == 5


def test_segments_that_cannot_be_used_are_listed(corpus: Corpus) -> None:
    """Each bad segment is skipped with its line and reason; above the share the run fails, and goes on once mended."""
    corpus.textgrid("REC0_S0000000").rename(corpus.folder / "aside")
    corpus.textgrid("REC0_S0000001").write_text(textgrid(WORDS, 12.0)[:-60])
    corpus.textgrid("REC1_S0000002").write_text(textgrid([*WORDS, *WORDS], 20.0))
    corpus.rewrite(lambda lines: [*lines[:4], lines[4].replace("REC1.wav", "absent.wav"), *lines[5:], "too\tshort"])
    with pytest.raises(ManifestError, match=r"5% of all; the first is .*train\.tsv, line 2: cannot read the alignment"):
        align(corpus.job)
    (corpus.folder / "aside").rename(corpus.textgrid("REC0_S0000000"))
    counts = align(replace(corpus.job, max_bad_share=0.7))
    assert (counts.lines, counts.rejected, counts.chunks) == (7, 4, 6)
    rejected = [json.loads(line) for line in (corpus.job.out / REJECTED).read_text().splitlines()]
    assert [row["line"] for row in rejected] == [3, 4, 5, 8]
    for row, said in zip(
        rejected, ["no sound TextGrid|before", "align this segment by", "absent", "2 columns"], strict=True
    ):
        assert any(part in row["reason"] for part in said.split("|"))


@pytest.mark.parametrize(
    ("audio", "rate", "said"),
    [
        (np.zeros(LENGTH), 8_000, "8000 Hz, 1 channels"),
        (np.zeros((LENGTH, 2)), 16_000, "16000 Hz, 2 channels"),
        (np.zeros(LENGTH - 1), 16_000, "too few for 192000 from 0 on"),
    ],
)
def test_audio_of_another_form_is_a_bad_segment(
    corpus: Corpus, audio: NDArray[np.float64], rate: int, said: str
) -> None:
    """Another rate, several channels and a file that is too short are told as they are."""
    soundfile.write(corpus.folder / "audio" / "REC0.wav", audio, rate)
    with pytest.raises(ManifestError, match=rf"line 2: .*REC0\.wav has .*{said}"):
        align(corpus.job)


def test_audio_that_breaks_off_is_a_bad_segment(corpus: Corpus) -> None:
    """A file whose header promises more than it holds is told, not cut short."""
    path = corpus.folder / "audio" / "REC0.flac"
    sound, _ = soundfile.read(corpus.folder / "audio" / "REC0.wav")
    soundfile.write(path, sound, 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    corpus.rewrite(lambda lines: [line.replace("REC0.wav", "REC0.flac") for line in lines])
    with pytest.raises(ManifestError, match=r"REC0\.flac (cannot be read|breaks off)"):
        align(corpus.job)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [lines[0].replace("audio", "sound"), *lines[1:]], "line 1: lacks audio"),
        (lambda lines: lines[:1], "holds no line but its header"),
    ],
)
def test_manifests_without_sense_are_refused(
    corpus: Corpus, change: Callable[[list[str]], list[str]], said: str
) -> None:
    """A header without a column and a manifest without a segment are errors."""
    corpus.rewrite(change)
    with pytest.raises(ManifestError, match=said):
        align(corpus.job)


def test_a_disk_that_refuses_stops_the_run(corpus: Corpus) -> None:
    """Audio that cannot be written is no bad segment: the run ends, and goes on when there is room."""
    corpus.job.out.mkdir()
    (corpus.job.out / "audio").write_bytes(b"in the way")
    with pytest.raises(ChunkWriteError, match=r"cannot write .*REC0_S0000000_term.*run it again"):
        align(corpus.job)
    (corpus.job.out / "audio").unlink()
    assert align(corpus.job).rejected == 0


def test_missing_inputs_are_named(corpus: Corpus) -> None:
    """A file that is not there is told before anything is written."""
    with pytest.raises(ManifestError, match="absent is not there"):
        align(replace(corpus.job, textgrids=corpus.folder / "absent"))
    assert not corpus.job.out.exists()
