"""Bad input of every kind: one clear sentence with the value and the cure, exit code 1 or 2, nothing half-written."""

import hashlib
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.cli import run
from app.samples import recordings
from streaming.audio import AudioFormat
from streaming.model_folder import BUNDLED, encoder_id_of, render_spec, spec_digest
from streaming.testing import ListSource

SENTENCE = "termcue: error: "


@dataclass(frozen=True, slots=True)
class Place:
    """A user's empty machine: `folder` for files, `data` and `cache` where the program may write."""

    folder: Path
    data: Path
    cache: Path

    def written(self) -> set[str]:
        """Everything the program left, but its locks and its empty folders."""
        return {
            str(path.relative_to(root))
            for root in (self.data, self.cache)
            for path in root.rglob("*")
            if path.is_file() and "lock" not in path.name
        }


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give an empty machine with no settings of the developer's."""
    for name in os.environ:
        if name.startswith("TERMCUE_"):
            monkeypatch.delenv(name)
    found = Place(tmp_path / "files", tmp_path / "data", tmp_path / "cache")
    for folder in (found.folder, found.data, found.cache):
        folder.mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(found.data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(found.cache))
    monkeypatch.chdir(found.folder)
    return found


def _refused(place: Place, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Run, check that it was refused as it should be, and give the sentence."""
    before = place.written()
    code = run(arguments)
    printed = capsys.readouterr()
    assert code in (1, 2)
    assert printed.out == ""
    *_, last = printed.err.splitlines()
    assert last.startswith(SENTENCE)
    assert printed.err.count(SENTENCE) == 1
    assert "Traceback" not in printed.err
    assert place.written() == before
    return last.removeprefix(SENTENCE)


# ---- audio ----


def _noise(n: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.3, 0.3, (n, channels)).astype(np.float32)


def _truncated(path: Path) -> None:
    soundfile.write(path, _noise(16_000), 16_000)
    path.write_bytes(path.read_bytes()[:16_000])


def _nan(path: Path) -> None:
    samples = _noise(16_000)
    samples[8_000] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


BAD_AUDIO: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "does not exist"),
    "empty": (lambda path: path.touch(), "0 bytes"),
    "folder": (lambda path: path.mkdir(), "not a regular file"),
    "truncated": (_truncated, "promises 32000 bytes of audio and 15956 are there"),
    "not audio": (lambda path: path.write_text("words, words, words\n" * 50), "not audio"),
    "no samples": (lambda path: soundfile.write(path, _noise(0), 16_000), "0 samples"),
    "not a number": (_nan, "not a finite number at 0.500 s"),
    "eight channels": (lambda path: soundfile.write(path, _noise(1600, 8), 16_000), "8 channels"),
    "rate too low": (lambda path: soundfile.write(path, _noise(1600), 2_000), "2000 Hz"),
    "rate too high": (lambda path: soundfile.write(path, _noise(1600), 384_000), "384000 Hz"),
}


@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_audio_is_refused(place: Place, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """An audio file that cannot be streamed is named with what is wrong, before anything is printed or built."""
    write, said = BAD_AUDIO[kind]
    path = place.folder / "talk.wav"
    write(path)
    sentence = _refused(place, capsys, ["listen", str(path), "--glossary", "terms.csv", "--json"])
    assert said in sentence
    assert "talk.wav" in sentence


@pytest.mark.parametrize(("sent", "said"), [(b"", "0 bytes"), (b"RIFF" + bytes(200), "WAV file")])
def test_bad_standard_input_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sent: bytes, said: str
) -> None:
    """Nothing, or a file with a header, on standard input is told apart from raw audio."""
    reading, writing = os.pipe()
    os.write(writing, sent)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        code = run(["listen", "-", "--glossary", str(_good_glossary(place)), "--json"])
    printed = capsys.readouterr()
    assert code == 1
    assert [json.loads(line)["type"] for line in printed.out.splitlines()] == ["Begin"]
    assert said in printed.err.splitlines()[-1]


def test_high_rate_is_heard_with_a_note(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """192 kHz is unusual and usable: one sentence, then the stream."""
    path = place.folder / "high.wav"
    soundfile.write(path, _noise(96_000), 192_000)
    assert run(["listen", str(path), "--glossary", str(_good_glossary(place)), "--json"]) == 0
    printed = capsys.readouterr()
    assert "has 192000 Hz" in printed.err
    assert json.loads(printed.out.splitlines()[-1])["duration"] == pytest.approx(0.5)


# ---- glossaries ----


def _good_glossary(place: Place) -> Path:
    path = place.folder / "terms.csv"
    path.write_text("term,de\nfellow Americans,amerikanische Mitbürger\ncountry,Land\n", encoding="utf-8")
    return path


BAD_GLOSSARIES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "neither a glossary file nor a published glossary"),
    "empty": (b"", "is empty"),
    "no usable term": (b"term,de\n,leer\n???,Zeichen\n", "no usable term"),
    "header only": (b"term,de\n", "no usable term"),
    "damaged UTF-8": (
        "term,de\nsoul,Gem\u00fct\n".encode() + b"x,\xfc\n",
        "damaged UTF-8: byte 0xfc at offset 22 (line 3)",
    ),
    "half of UTF-16": ("term\nkernel\n".encode("utf-16")[:-1], "damaged UTF-16"),
    "damaged spreadsheet": (b"PK\x03\x04" + bytes(100), "damaged archive"),
    "old spreadsheet": (b"\xd0\xcf\x11\xe0" + bytes(100), "save it as XLSX without a password"),
    "bomb of entities": (b"<!DOCTYPE tbx [<!ENTITY a 'lol'>]><tbx>&a;</tbx>", "entity 'a' is declared"),
    "10,000 characters": (b"term\n" + b"x" * 10_000 + b"\n", "10000 characters"),
}


@pytest.mark.parametrize("kind", BAD_GLOSSARIES)
def test_bad_glossary_is_refused(place: Place, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """A glossary without a usable term is named with what is wrong; no index is left, in cache or published."""
    content, said = BAD_GLOSSARIES[kind]
    path = place.folder / "terms.csv"
    if content is not None:
        path.write_bytes(content)
    speech = str(recordings()[1].path)
    assert said in _refused(place, capsys, ["listen", speech, "--glossary", "terms.csv", "--json"])
    if content is not None:
        assert said in _refused(place, capsys, ["reindex", "terms.csv", "--id", "talks", "--json"])
    assert place.written() == set()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_common_encoding_is_read(place: Place, capsys: pytest.CaptureFixture[str], encoding: str) -> None:
    """A glossary is read in the encoding that its program saved it in; a guess is told."""
    (place.folder / "terms.csv").write_bytes("term,de\nsoul,Gemüt\n".encode(encoding))
    assert run(["reindex", "terms.csv", "--check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["entries"], report["rejected"]) == (1, [])
    assert ("encoding" in [warning["kind"] for warning in report["warnings"]]) is (encoding == "cp1252")


def test_byte_order_mark_and_duplicates_lose_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A BOM is no part of the first heading; duplicates merge, over-long terms are rejected, and the counts add up."""
    rows = ["term,de", "kernel,Kern", "Kernel,Kern", "x" * 10_000 + ",lang", "graph,Graph"]
    (place.folder / "terms.csv").write_bytes(b"\xef\xbb\xbf" + "\n".join(rows).encode())
    assert run(["reindex", "terms.csv", "--id", "talks", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["entries"], report["merged"]) == (4, 2, 1)
    (rejected,) = report["rejected"]
    assert (rejected["line"], len(rejected["value"]) <= 80) == (4, True)
    assert "10000 characters" in rejected["reason"]


def test_strict_publishes_nothing_when_a_row_is_lost(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """--strict ends with 2 and leaves no version; the report still says which row it was."""
    (place.folder / "terms.csv").write_text("term\nkernel\n???\n")
    assert run(["reindex", "terms.csv", "--id", "talks", "--strict", "--json"]) == 2
    printed = capsys.readouterr()
    assert [row["line"] for row in json.loads(printed.out)["rejected"]] == [3]
    assert "nothing is published" in printed.err
    assert place.written() == set()


def test_check_publishes_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """--check only reads and reports."""
    _good_glossary(place)
    assert run(["reindex", "terms.csv", "--check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["type"], report["entries"], report["version"]) == ("IndexReport", 2, "")
    assert place.written() == set()


def test_doubtful_glossary_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What is odd about a bare file is said, now and from the cache: three warnings, how many more, no translation."""
    columns = ",".join(f"colour{number}" for number in range(5))
    (place.folder / "terms.csv").write_text(f"term,{columns}\nfellow Americans,1,2,3,4,5\n")
    arguments = ["listen", str(recordings()[1].path), "--glossary", "terms.csv", "--threshold", "1"]
    for _ in range(2):
        assert run(arguments) == 0
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("is not known and is ignored") == 3
        assert "and 2 more: termcue reindex terms.csv --check" in printed.err
        assert "this glossary has no translations" in printed.err


def test_report_counts_in_the_singular(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """One row is one row and one entry."""
    (place.folder / "terms.csv").write_text("term,de\nprudently,umsichtig\n")
    assert run(["reindex", "terms.csv", "--check"]) == 0
    assert "\n1 row: 1 entry (1 spoken form), 0 merged" in capsys.readouterr().out


@pytest.mark.parametrize(("source", "code"), [("mic", 0), ("talk.wav", 130)])
def test_interrupt_ends_a_session(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, source: str, code: int
) -> None:
    """Ctrl-C is how a microphone's session ends; of any other source it says that the rest was not heard."""

    class Interrupted(ListSource):
        def chunks(self) -> Iterator[bytes]:
            yield bytes(32_000)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("app.commands.listen.open_source", lambda *_, **__: Interrupted(AudioFormat(), []))
    assert run(["listen", source, "--glossary", str(_good_glossary(place)), "--json"]) == code
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["type"] == "Metadata"


# ---- model and index folders ----


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _copied_model(place: Place) -> Path:
    return Path(shutil.copytree(BUNDLED, place.folder / "model"))


def _listen(place: Place, model: Path, glossary: str) -> list[str]:
    return ["listen", str(recordings()[1].path), "--glossary", glossary, "--model", str(model), "--json"]


def test_missing_model_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A model folder that is not there is named."""
    _good_glossary(place)
    assert "there is no model folder" in _refused(place, capsys, _listen(place, Path("nowhere"), "terms.csv"))


@pytest.mark.parametrize(
    "name", sorted(path.name for path in BUNDLED.iterdir() if path.suffix in (".onnx", ".npy", ".json"))
)
def test_model_with_one_byte_changed_is_refused(place: Place, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Any file of the model folder with one bit changed is found and named before it is used."""
    _good_glossary(place)
    model = _copied_model(place)
    _flip_a_byte(model / name)
    sentence = _refused(place, capsys, _listen(place, model, "terms.csv"))
    assert str(model / name) in sentence
    assert "--model" in sentence


def _published(place: Place, capsys: pytest.CaptureFixture[str]) -> Path:
    _good_glossary(place)
    assert run(["reindex", "terms.csv", "--id", "talks"]) == 0
    capsys.readouterr()
    (version,) = (place.data / "termcue" / "glossaries" / "talks" / "versions").iterdir()
    return version


def test_damaged_report_does_not_hide_other_glossaries(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The list goes on after a glossary that cannot be read, and ends with 1."""
    version = _published(place, capsys)
    assert run(["reindex", "terms.csv", "--id", "tracks"]) == 0
    (version / "report.json").write_text("{")
    capsys.readouterr()
    assert run(["glossaries", "list"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("tracks ")
    assert "2 entries" in printed.out
    assert "report.json cannot be read" in printed.err


@pytest.mark.parametrize("name", ["index.faiss", "entries.jsonl", "background.npy", "manifest.json", "report.json"])
def test_index_with_one_byte_changed_is_refused(place: Place, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Any file of an index folder with one bit changed is found and named, with the command that makes it anew."""
    version = _published(place, capsys)
    _flip_a_byte(version / name)
    sentence = _refused(place, capsys, _listen(place, BUNDLED, "talks"))
    assert name in sentence
    assert "termcue reindex" in sentence


def test_index_of_another_encoder_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """An index is only used with the encoder that built it; the sentence names both."""
    _published(place, capsys)
    model = _copied_model(place)
    spec = json.loads((model / "spec.json").read_text("utf-8"))
    built_by = encoder_id_of(spec["name"], spec["sha256"])
    spec["name"] = "another"
    spec["spec_sha256"] = spec_digest(spec)
    (model / "spec.json").write_bytes(render_spec(spec))
    sentence = _refused(place, capsys, _listen(place, model, "talks"))
    assert built_by in sentence
    assert encoder_id_of("another", spec["sha256"]) in sentence
    assert "termcue reindex" in sentence


def test_damaged_cache_is_built_again(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What the program cached for itself is no user's concern: a damaged entry is replaced without a word."""
    _good_glossary(place)
    arguments = _listen(place, BUNDLED, "terms.csv")
    assert run(arguments) == 0
    first = capsys.readouterr()
    (damaged,) = place.cache.rglob("index.faiss")
    whole = hashlib.sha256(damaged.read_bytes()).hexdigest()
    _flip_a_byte(damaged)
    assert run(arguments) == 0
    assert capsys.readouterr() == first
    assert hashlib.sha256(damaged.read_bytes()).hexdigest() == whole


def test_unwritable_data_folder_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A data folder that is a file cannot be written in; the sentence names it."""
    _good_glossary(place)
    blocker = place.folder / "blocked"
    blocker.touch()
    sentence = _refused(place, capsys, ["reindex", "terms.csv", "--id", "talks", "--data-dir", str(blocker)])
    assert str(blocker) in sentence
