"""A model folder is used only if it is, byte for byte, what was written."""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.calibration import FEATURES
from streaming.encoder import OnnxFrameEncoder, open_session
from streaming.errors import ModelError
from streaming.model_folder import SCHEMA_VERSION, ModelFolder, encoder_id_of, render_spec, spec_digest

CURE = "install TermCue again, or name another folder with --model"
FILES = {"audio.onnx": b"the audio tower", "text.onnx": b"the text tower", "background.npy": bytes(range(64))}


def _calibration(bias: float = 0.5) -> dict[str, Any]:
    size = len(FEATURES)
    return {
        "features": list(FEATURES),
        "mean": [0.0] * size,
        "scale": [1.0] * size,
        "weights": [0.25] * size,
        "bias": bias,
        "sizes": [300],
        "thresholds": [0.1, 0.5],
        "false_per_hour": [[30.0, 3.0]],
    }


def _write(folder: Path, files: Mapping[str, bytes] = FILES, **changes: object) -> Path:
    """A whole folder; `changes` of the spec are hashed with it. A change to None leaves the key out."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    spec = {
        "schema_version": SCHEMA_VERSION,
        "name": "tiny",
        "context_samples": 48_000,
        "frame_samples": 320,
        "feature_width": 8,
        "dim": 4,
        "licence": "CC0",
        "provenance": [{"source": "nowhere"}],
        "calibration": _calibration(),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        **changes,
    }
    spec = {key: value for key, value in spec.items() if value is not None}
    spec["spec_sha256"] = spec_digest(spec)
    (folder / "spec.json").write_bytes(render_spec(spec))
    return folder


def test_whole_folder_is_read(tmp_path: Path) -> None:
    """Contents, spec and calibration are those that were written."""
    folder = ModelFolder.load(_write(tmp_path / "m"))
    assert folder.contents == FILES
    assert (folder.spec.name, folder.spec.dim, folder.spec.context_samples) == ("tiny", 4, 48_000)
    assert folder.spec.provenance == ({"source": "nowhere"},)
    assert folder.calibration.threshold(3.0, 300) == 0.5
    assert folder.path == tmp_path / "m"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_byte_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    """No byte of any file can change unnoticed."""
    shutil.rmtree(tmp_path / "m", ignore_errors=True)
    folder = _write(tmp_path / "m")
    file = folder / data.draw(st.sampled_from([*FILES, "spec.json"]))
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[position]))
    file.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        ModelFolder.load(folder)
    assert CURE in str(caught.value)
    assert str(file) in str(caught.value) or file.name == "spec.json"


def _no_spec(folder: Path) -> None:
    (folder / "spec.json").unlink()


def _no_file(folder: Path) -> None:
    (folder / "text.onnx").unlink()


def _cut_file(folder: Path) -> None:
    (folder / "text.onnx").write_bytes(FILES["text.onnx"][:-1])


def _cut_spec(folder: Path) -> None:
    spec = folder / "spec.json"
    spec.write_bytes(spec.read_bytes()[:-20])


def _no_utf8(folder: Path) -> None:
    (folder / "spec.json").write_bytes(b"\xff\xfe{}")


def _blank_more(folder: Path) -> None:
    spec = folder / "spec.json"
    spec.write_bytes(spec.read_bytes().replace(b": ", b":\t", 1))


def _nested(folder: Path) -> None:
    (folder / "spec.json").write_text("[" * 100_000, "utf-8")


def _pipe_for_file(folder: Path) -> None:
    (folder / "text.onnx").unlink()
    os.mkfifo(folder / "text.onnx")


def _pipe_for_spec(folder: Path) -> None:
    _no_spec(folder)
    os.mkfifo(folder / "spec.json")


def _no_object(folder: Path) -> None:
    (folder / "spec.json").write_text("[]", "utf-8")


def _folder_for_file(folder: Path) -> None:
    (folder / "text.onnx").unlink()
    (folder / "text.onnx").mkdir()


def _spec_is_folder(folder: Path) -> None:
    _no_spec(folder)
    (folder / "spec.json").mkdir()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_no_spec, "is no model folder: it has no spec.json"),
        (_no_file, "text.onnx cannot be read (No such file"),
        (_folder_for_file, "text.onnx cannot be read (it is no regular file)"),
        (_pipe_for_file, "text.onnx cannot be read (it is no regular file)"),
        (_pipe_for_spec, "spec.json is damaged (it is no regular file)"),
        (_blank_more, "spec.json was changed after it was written"),
        (_nested, "spec.json is damaged ("),
        (_cut_file, "text.onnx is damaged: SHA-256 "),
        (_cut_spec, "spec.json is damaged ("),
        (_no_utf8, "spec.json is damaged ("),
        (_no_object, "spec.json lacks or garbles"),
        (_spec_is_folder, "spec.json is damaged ("),
        (shutil.rmtree, "there is no model folder"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_damage_is_told_with_the_file_and_the_cure(tmp_path: Path, damage: Callable[[Path], None], named: str) -> None:
    """One sentence: what is wrong with which file, and what to do."""
    folder = _write(tmp_path / "m")
    damage(folder)
    with pytest.raises(ModelError) as caught:
        ModelFolder.load(folder)
    message = str(caught.value)
    assert named in message
    assert str(folder) in message
    assert message.endswith(CURE)
    assert "\n" not in message


def test_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """A model is a folder; a file of that name is none."""
    (tmp_path / "m").write_bytes(b"")
    with pytest.raises(ModelError, match="there is no model folder"):
        ModelFolder.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema_version": SCHEMA_VERSION + 1}, f"schema version {SCHEMA_VERSION + 1}, not {SCHEMA_VERSION}"),
        ({"schema_version": None}, "lacks or garbles 'schema_version'"),
        ({"dim": None}, "lacks or garbles 'dim'"),
        ({"sha256": None}, "lacks or garbles 'sha256'"),
        ({"sha256": ["audio.onnx"]}, "lacks or garbles"),
        ({"calibration": {**_calibration(), "weights": [1.0]}}, "lacks or garbles calibration"),
        ({"calibration": {**_calibration(), "bias": "high"}}, "lacks or garbles"),
        ({"calibration": {**_calibration(), "bias": 10**400}}, "lacks or garbles"),
        ({"provenance": 3}, "lacks or garbles"),
        ({"context_samples": "48000"}, "lacks or garbles context_samples '48000'"),
        ({"mel_bins": 0}, "lacks or garbles mel_bins 0"),
        ({"blocks": [16, 16]}, "lacks or garbles blocks [16, 16]"),
        ({"blocks": {"block": "16"}}, "lacks or garbles blocks: block = '16'"),
        ({"blocks": {"right": -16}}, "lacks or garbles blocks: right = -16"),
        ({"blocks": {"positions": 0}}, "lacks or garbles blocks: positions = 0"),
        ({"blocks": {"look_back": True}}, "lacks or garbles blocks: look_back = True"),
        ({"blocks": {"left": 16}}, "lacks or garbles blocks: left = 16"),
    ],
    ids=str,
)
def test_spec_of_another_make_is_refused(tmp_path: Path, change: dict[str, object], named: str) -> None:
    """A spec that is whole and signed but says something else is told by what it says."""
    with pytest.raises(ModelError) as caught:
        ModelFolder.load(_write(tmp_path / "m", FILES, **change))
    assert named in str(caught.value)
    assert str(caught.value).endswith(CURE)


@pytest.mark.parametrize("name", ["../audio.onnx", "/etc/hostname", "sub/audio.onnx", "a/../audio.onnx", "..", ""])
def test_file_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    """A model names files of its own folder only, whatever lies elsewhere and whatever its hash."""
    (tmp_path / "audio.onnx").write_bytes(b"outside")
    digests = {name: hashlib.sha256(b"outside").hexdigest()}
    with pytest.raises(ModelError, match=r"outside itself|cannot be read"):
        ModelFolder.load(_write(tmp_path / "m", sha256=digests))


def test_encoder_id_depends_on_the_files_only(tmp_path: Path) -> None:
    """Recalibrating leaves indexes usable; other graphs or background make them stale."""
    plain = ModelFolder.load(_write(tmp_path / "plain")).encoder_id
    recalibrated = _write(tmp_path / "recalibrated", calibration=_calibration(bias=-2.0), licence="other")
    assert ModelFolder.load(recalibrated).encoder_id == plain
    others = {
        ModelFolder.load(_write(tmp_path / f"other {name}", {**FILES, name: b"retrained"})).encoder_id for name in FILES
    }
    assert len({plain, *others}) == 1 + len(FILES)
    assert plain.startswith("tiny-")


def test_encoder_id_does_not_depend_on_the_order_of_files() -> None:
    """The id is that of a set of files."""
    digests = {"a": "1", "b": "2"}
    assert encoder_id_of("m", digests) == encoder_id_of("m", dict(reversed(digests.items())))


def test_graph_that_is_not_there_or_none_is_told(tmp_path: Path) -> None:
    """A folder without a graph, or with one that ONNX Runtime cannot read, gives an error of ours that names it."""
    folder = ModelFolder.load(_write(tmp_path / "m"))
    with pytest.raises(ModelError, match=r"has no g2p\.onnx; install TermCue again"):
        open_session(folder, "g2p.onnx")
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot load .*audio\.onnx"):
        OnnxFrameEncoder(folder)


def test_weights_beside_a_graph_are_checked_and_not_held(tmp_path: Path) -> None:
    """NAME.onnx.data counts for the hash and the encoder id, but its bytes stay on the disk."""
    files = {**FILES, "text.onnx.data": bytes(1000)}
    folder = ModelFolder.load(_write(tmp_path / "m", files))
    assert folder.external == {"text.onnx.data"}
    assert folder.contents == FILES
    assert folder.encoder_id != ModelFolder.load(_write(tmp_path / "plain")).encoder_id
    (tmp_path / "m" / "text.onnx.data").write_bytes(bytes(999) + b"1")
    with pytest.raises(ModelError, match=r"text\.onnx\.data is damaged"):
        ModelFolder.load(tmp_path / "m")
    (tmp_path / "m" / "text.onnx.data").unlink()
    with pytest.raises(ModelError, match=r"text\.onnx\.data cannot be read"):
        ModelFolder.load(tmp_path / "m")
    os.mkfifo(tmp_path / "m" / "text.onnx.data")
    with pytest.raises(ModelError, match=r"text\.onnx\.data cannot be read \(it is not there, or no regular file\)"):
        ModelFolder.load(tmp_path / "m")
    with pytest.raises(ModelError, match="names a file outside itself"):
        ModelFolder.load(_write(tmp_path / "out", sha256={"../x.data": "0" * 64}))


def test_spec_of_before_has_80_mel_bins_and_letters(tmp_path: Path) -> None:
    """What a spec need not say has the values of the bundled model; what it says is read."""
    plain = ModelFolder.load(_write(tmp_path / "m")).spec
    assert (plain.mel_bins, plain.text_tokens) == (80, "letters")
    told = ModelFolder.load(_write(tmp_path / "n", mel_bins=128, text_tokens="subwords")).spec
    assert (told.mel_bins, told.text_tokens) == (128, "subwords")
    with pytest.raises(ModelError, match="text_tokens 'runes'"):
        ModelFolder.load(_write(tmp_path / "o", text_tokens="runes"))
