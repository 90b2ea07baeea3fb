"""What `termcue doctor` looks at: each check is a function that answers, and never one that raises.

Two distributions that install the same module mix their files without a word (microsoft/onnxruntime#26996),
so who owns a module is asked, and every provider that is claimed must multiply two matrices.
"""

import importlib
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from app.notes import counted
from app.probe_model import matmul_model
from app.training_extra import INSTALL_TRAINING
from streaming.errors import TermCueError

if TYPE_CHECKING:
    from streaming.model_folder import ModelFolder

Status: TypeAlias = Literal["ok", "absent", "failed"]

OUR_PACKAGES = ("app", "streaming", "training", "index_builder", "demo")
DISTRIBUTION = "termcue"
DEPENDENCIES = ("numpy", "soxr", "soundfile", "webrtcvad-wheels", "websockets", "click", "rich")
# The extra `train`.
TRAINING = (
    *("torch", "transformers", "accelerate", "peft", "tensorboard", "safetensors", "ijson", "praatio"),
    *("onnx", "scikit-learn", "matplotlib", "huggingface-hub"),
)
# Module -> the distributions that may own it; only one of them at a time.
SHARED_MODULES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "faiss": ("faiss-cpu", "faiss-gpu"),
}
# A client of a remote service: it computes nothing here, so there is nothing to prove.
REMOTE_PROVIDERS = frozenset({"AzureExecutionProvider"})


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `absent` is something optional that is not there; only `failed` fails the doctor."""

    name: str
    status: Status
    detail: str


def examine(model: Path | None, data_dir: Path) -> Iterator[Check]:
    """Every check in order.

    Args:
        model: model folder; None for the bundled one.
        data_dir: where published glossaries lie.
    """
    owners = {module: sorted(set(found)) for module, found in packages_distributions().items()}
    yield from versions()
    yield training_extra()
    yield from module_owners(owners)
    yield from package_names(owners)
    yield from providers()
    yield guarded("faiss search", _faiss_search)
    yield guarded("voice detection", _voice_detection)
    yield _microphone()
    yield from _model_and_indexes(model, data_dir)


def versions() -> Iterator[Check]:
    """Python, this program and what it stands on."""
    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    for name in (DISTRIBUTION, *DEPENDENCIES):
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            if name == DISTRIBUTION:
                yield Check(name, "absent", "runs from a folder, not installed; to install it: pip install .")
            else:
                yield Check(name, "failed", f"not installed; install it: pip install {name}")


def training_extra() -> Check:
    """Whether the extra `train` is complete, without loading any of it."""
    missing = [name for name in TRAINING if not _is_installed(name)]
    if missing:
        return Check("training", "absent", f"{', '.join(missing)} not installed; to train, {INSTALL_TRAINING}")
    return Check("training", "ok", f"all {len(TRAINING)} distributions are there; try them: termcue doctor --training")


def module_owners(owners: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Which distribution owns `onnxruntime` and `faiss`; two owners fail."""
    for module, candidates in SHARED_MODULES.items():
        found = owners.get(module, ())
        listed = ", ".join(f"{name} {version(name)}" for name in found if _is_installed(name)) or ", ".join(found)
        if not found:
            yield Check(f"owner of {module}", "failed", f"no distribution; install one: pip install {candidates[0]}")
        elif len(found) > 1:
            yield Check(
                f"owner of {module}",
                "failed",
                f"{len(found)} distributions install the same module ({listed}); keep one: "
                f"pip uninstall -y {' '.join(found)} && pip install {candidates[0]}",
            )
        else:
            yield Check(f"owner of {module}", "ok", listed)


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def package_names(owners: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Whether another distribution owns one of our package names, or another folder answers to one."""
    home = Path(__file__).resolve().parent.parent
    for name in OUR_PACKAGES:
        rivals = [owner for owner in owners.get(name, ()) if owner != DISTRIBUTION]
        found = Path(str(importlib.import_module(name).__file__)).resolve().parent.parent
        if rivals:
            yield Check(
                f"package {name}",
                "failed",
                f"also installed by {', '.join(rivals)}; remove it, or give termcue an environment of its own",
            )
        elif found != home:
            yield Check(
                f"package {name}", "failed", f"comes from {found} and not from {home}; give termcue its own environment"
            )
        else:
            yield Check(f"package {name}", "ok", str(home / name))


def providers() -> Iterator[Check]:
    """A matrix product on each ONNX Runtime provider that is claimed, with no way back to the CPU."""
    import onnxruntime

    for name in onnxruntime.get_available_providers():
        if name in REMOTE_PROVIDERS:
            yield Check(name, "absent", "a remote service; never used")
        else:
            yield guarded(name, partial(_multiply_on, name))


def _multiply_on(provider: str) -> str:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if provider != "CPUExecutionProvider":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = onnxruntime.InferenceSession(matmul_model(), options, providers=[provider])
    used = session.get_providers()[0]
    if used != provider:
        raise TermCueError(f"is claimed but {used} ran instead; install the drivers and libraries it needs")
    left = np.array([[1, 2], [3, 4]], np.float32)
    (product,) = session.run(None, {"left": left, "right": left})
    if not np.allclose(product, left @ left, rtol=1e-3):
        raise TermCueError(f"multiplies wrongly ({product.tolist()}); install onnxruntime again")
    return "multiplied two matrices"


def _faiss_search() -> str:
    import faiss

    vectors = np.eye(4, dtype=np.float32)
    index = faiss.IndexFlatIP(4)
    index.add(vectors)
    _, found = index.search(vectors, 1)
    if found[:, 0].tolist() != [0, 1, 2, 3]:
        raise TermCueError(f"found {found[:, 0].tolist()} instead of [0, 1, 2, 3]; install faiss-cpu again")
    return f"faiss {faiss.__version__} found the nearest of 4 vectors"


def _voice_detection() -> str:
    from streaming.vad import WebRtcDetector

    detector = WebRtcDetector()
    if detector.is_speech(np.zeros(detector.frame_samples, np.float32)):
        raise TermCueError("hears speech in silence; install webrtcvad-wheels again")
    return "webrtcvad hears no speech in silence"


def _microphone() -> Check:
    from streaming.microphone import input_devices

    try:
        devices = input_devices()
    except TermCueError as error:
        return Check("microphone", "absent", str(error))
    if not devices:
        return Check("microphone", "absent", "none is connected")
    return Check("microphone", "ok", "; ".join(f"{d.index} {d.name} ({d.sample_rate} Hz)" for d in devices))


def guarded(name: str, operation: Callable[[], str]) -> Check:
    """What an operation says of itself, or what it throws as a failure."""
    # The doctor must come to its end whatever a broken library throws: what it throws is the finding.
    try:
        return Check(name, "ok", operation())
    except Exception as error:
        return Check(name, "failed", f"{error}".splitlines()[0] if f"{error}" else type(error).__name__)


def _model_and_indexes(model: Path | None, data_dir: Path) -> Iterator[Check]:
    from index_builder.publish import published
    from streaming.model_folder import BUNDLED, ModelFolder

    path = model or BUNDLED
    try:
        folder = ModelFolder.load(path)
    except TermCueError as error:
        yield Check("model", "failed", str(error))
        return
    yield Check("model", "ok", f"{folder.encoder_id} in {path}, all hashes right")
    for name in sorted(folder.contents):
        if name.endswith(".onnx"):
            yield guarded(f"model {name}", partial(_provider_of, folder, name))
    yield guarded("speed", partial(_speed_of, folder))
    for glossary_id in published(data_dir):
        yield guarded(f"glossary {glossary_id}", partial(_index_state, data_dir, glossary_id, folder.encoder_id))


def _provider_of(folder: "ModelFolder", name: str) -> str:
    from streaming.encoder import open_session

    return f"runs on {open_session(folder, name).get_providers()[0]}"


def _speed_of(folder: "ModelFolder") -> str:
    from app.loaded_model import load_model
    from app.serving import sessions_held

    model = load_model(folder)
    kept = model.frames.open().nbytes / 1e6
    people = counted(sessions_held(model, 1), "person who speaks", "people who speak")
    return f"one core holds about {people}, and the encoder keeps {kept:.1f} MB of each"


def _index_state(data_dir: Path, glossary_id: str, encoder_id: str) -> str:
    from index_builder.publish import current, load_version

    index = load_version(current(data_dir, glossary_id), encoder_id)
    return f"version {index.version}, {len(index.entries)} entries, all hashes right"
