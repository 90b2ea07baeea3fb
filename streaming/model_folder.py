"""A model folder: ONNX files and ``spec.json``, every file checked against its SHA-256 before it is used.

Weights beyond what one ONNX file can hold (2 GiB) lie beside it in ``NAME.onnx.data``; they are hashed as they are read
and never held here.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from streaming.calibration import Calibration
from streaming.encoding.block_shape import BlockShape
from streaming.errors import ModelError
from streaming.features import MEL_BINS
from streaming.measured_recall import MeasuredStream, measured_streams

SCHEMA_VERSION = 1
EXTERNAL_WEIGHTS = ".data"
BUNDLED = Path(__file__).parent / "models" / "compact"
_CURE = "install TermCue again, or name another folder with --model"

TextTokens: TypeAlias = Literal["letters", "subwords"]
_TEXT_TOKENS: tuple[TextTokens, ...] = get_args(TextTokens)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model needs from the stream around it; sizes in samples at 16 kHz and in encoder frames.

    `mel_bins`, `text_tokens` (what the text tower reads) and `blocks` (how the encoder parts a stream; None: it hears
    each context anew) may be missing from a spec and then have these defaults.
    """

    name: str
    context_samples: int
    frame_samples: int
    feature_width: int
    dim: int
    licence: str
    provenance: tuple[Mapping[str, str], ...]
    mel_bins: int = MEL_BINS
    text_tokens: TextTokens = "letters"
    blocks: BlockShape | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "ModelSpec":
        """Read the fields of a spec. Raises KeyError or ValueError for one that is missing or cannot be."""
        tokens = raw.get("text_tokens", "letters")
        if tokens not in _TEXT_TOKENS:
            raise ValueError(f"text_tokens {tokens!r}")
        return cls(
            name=raw["name"],
            context_samples=_size(raw, "context_samples"),
            frame_samples=_size(raw, "frame_samples"),
            feature_width=_size(raw, "feature_width"),
            dim=_size(raw, "dim"),
            licence=raw["licence"],
            provenance=tuple(raw["provenance"]),
            mel_bins=_size({"mel_bins": MEL_BINS, **raw}, "mel_bins"),
            text_tokens=tokens,
            blocks=BlockShape.from_json(raw["blocks"]) if "blocks" in raw else None,
        )


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A checked folder.

    `encoder_id` is a hash over every file that shapes an embedding or a score, `external` the names of the files that
    were checked but are read from the disk by who uses them, `is_calibrated` whether probabilities and thresholds were
    ever fitted to speech: the spec then tells on which. `measured` is how much was found there.
    """

    path: Path
    spec: ModelSpec
    encoder_id: str
    calibration: Calibration
    contents: Mapping[str, bytes] = field(repr=False)
    external: frozenset[str] = frozenset()
    is_calibrated: bool = False
    measured: tuple[MeasuredStream, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "ModelFolder":
        """Read and check a folder; raises ModelError with the file and the cure."""
        spec_file = path / "spec.json"
        if not path.is_dir():
            raise ModelError(f"there is no model folder {path}; {_CURE}")
        try:
            written = _read(spec_file)
            raw: dict[str, Any] = json.loads(written)
        except FileNotFoundError as error:
            raise ModelError(f"{path} is no model folder: it has no spec.json; {_CURE}") from error
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{spec_file} is damaged ({error}); {_CURE}") from error
        try:
            if raw["schema_version"] != SCHEMA_VERSION:
                found = raw["schema_version"]
                raise ModelError(f"{spec_file} has schema version {found}, not {SCHEMA_VERSION}; {_CURE}")
            external = frozenset(name for name in raw["sha256"] if name.endswith(EXTERNAL_WEIGHTS))
            contents = {n: _checked(path, n, digest) for n, digest in raw["sha256"].items() if n not in external}
            for name in external:
                _check_streaming(path, name, raw["sha256"][name])
            # Rendering what was understood must give the same bytes: no byte of the file is beyond its hash.
            if raw["spec_sha256"] != spec_digest(raw) or written != render_spec(raw):
                raise ModelError(f"{spec_file} was changed after it was written: its own hash differs; {_CURE}")
            calibration = Calibration.from_json(raw["calibration"])
            spec = ModelSpec.from_json(raw)
            measured = measured_streams(raw.get("calibration_report"))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise ModelError(f"{spec_file} lacks or garbles {error}; {_CURE}") from error
        encoder_id = encoder_id_of(raw["name"], raw["sha256"])
        return cls(
            path,
            spec,
            encoder_id,
            calibration,
            contents,
            external,
            not raw.keys().isdisjoint({"calibration_report", "calibration_from"}),
            measured,
        )


def _size(raw: Mapping[str, Any], name: str) -> int:
    """A whole number above 0. Raises KeyError where it is missing, ValueError where it is something else."""
    size = raw[name]
    # Python takes true for 1.
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"{name} {size!r}")
    return size


def encoder_id_of(name: str, digests: Mapping[str, str]) -> str:
    """The model's name and a short hash over its files' hashes."""
    joined = "\n".join(f"{file} {digest}" for file, digest in sorted(digests.items()))
    return f"{name}-{hashlib.sha256(joined.encode()).hexdigest()[:12]}"


def spec_digest(raw: Mapping[str, Any]) -> str:
    """SHA-256 of a spec without its own hash, in canonical JSON."""
    body = {key: value for key, value in raw.items() if key != "spec_sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def render_spec(raw: Mapping[str, Any]) -> bytes:
    """The one way in which a spec is written, byte for byte."""
    return (json.dumps(raw, indent=1, ensure_ascii=False) + "\n").encode()


def _read(path: Path) -> bytes:
    # Opening a pipe would wait for a writer for ever.
    if path.exists() and not path.is_file():
        raise OSError("it is no regular file")
    return path.read_bytes()


def _checked(folder: Path, name: str, digest: str) -> bytes:
    path = _inside(folder, name)
    try:
        content = _read(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    _compare(path, hashlib.sha256(content).hexdigest(), digest)
    return content


def _check_streaming(folder: Path, name: str, digest: str) -> None:
    path = _inside(folder, name)
    try:
        if not path.is_file():
            raise OSError("it is not there, or no regular file")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error
    _compare(path, found, digest)


def _inside(folder: Path, name: str) -> Path:
    if name != Path(name).name:
        raise ModelError(f"the model in {folder} names a file outside itself ({name!r}); {_CURE}")
    return folder / name


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"the model's file {path} cannot be read ({error.strerror or error}); {_CURE}")


def _compare(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ModelError(f"{path} is damaged: SHA-256 {found[:12]}…, expected {expected[:12]}…; {_CURE}")
