from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streaming.errors import ModelError, SettingError
from streaming.model_folder import ModelFolder
from tests.training.models.served_folders import FROM_BUNDLED, rewritten
from training.export.parts import Format
from training.loop.config import ModelConfig
from training.models.base_folder import pinned
from training.models.retriever import build_retriever


def changed(content: bytes, old: str, new: NDArray[np.float32] | None) -> bytes:
    """A graph with another initialiser in the place of one, or without it."""
    model = onnx.load_model_from_string(content)
    kept = [tensor for tensor in model.graph.initializer if tensor.name != old]
    assert len(kept) < len(model.graph.initializer)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept if new is None else [*kept, numpy_helper.from_array(new, old)])
    return model.SerializeToString()  # type: ignore[no-any-return]


_UNFIT: dict[str, tuple[str, Callable[[bytes], bytes | None], str]] = {
    "a graph that is missing": ("spans.onnx", lambda _: None, "it holds no spans.onnx"),
    "a weight that is missing": (
        "audio.onnx",
        lambda content: changed(content, "head.inner.bias", None),
        "it holds no alignment.inner.bias",
    ),
    "a weight of another shape": (
        "spans.onnx",
        lambda content: changed(content, "layers.3.bias", np.zeros(7, np.float32)),
        r"its spans.layers.3.bias is \[7\] and not \[32\]",
    ),
    "no number": (
        "spans.onnx",
        lambda content: changed(content, "layers.3.bias", np.full(32, np.nan, np.float32)),
        "its spans.layers.3.bias holds numbers that are not finite",
    ),
}


def with_more(content: bytes) -> bytes:
    """A graph with a weight that no retriever has."""
    model = onnx.load_model_from_string(content)
    model.graph.initializer.append(helper.make_tensor("layers.9.bias", TensorProto.FLOAT, [1], [0.0]))
    return model.SerializeToString()  # type: ignore[no-any-return]


@pytest.mark.parametrize("fault", _UNFIT)
def test_an_unfit_folder_is_refused(exported: Callable[[Format], Path], tmp_path: Path, fault: str) -> None:
    """A folder that is whole but of another kind: the sentence names the parameter and what to do."""
    name, change, message = _UNFIT[fault]
    folder = rewritten(exported("fp32"), tmp_path / "m", {name: change((exported("fp32") / name).read_bytes())})
    with pytest.raises(ModelError, match=f"cannot start from the model folder .*{message}; name `bundled`"):
        build_retriever(ModelConfig("whisper", str(folder), "characters"))


def test_weights_without_a_place_are_refused(exported: Callable[[Format], Path], tmp_path: Path) -> None:
    """Nothing of the folder is left out in silence; a text tower of subwords is not that of letters."""
    spans = with_more((exported("fp32") / "spans.onnx").read_bytes())
    folder = rewritten(exported("fp32"), tmp_path / "more", {"spans.onnx": spans})
    with pytest.raises(ModelError, match=r"spans.layers.9.bias has no place"):
        build_retriever(ModelConfig("whisper", str(folder), "characters"))
    folder = rewritten(exported("fp32"), tmp_path / "subwords", {}, text_tokens="subwords")
    with pytest.raises(ModelError, match="its text tower reads subwords"):
        build_retriever(ModelConfig("whisper", str(folder), "characters"))


def test_a_damaged_folder_is_refused(exported: Callable[[Format], Path], tmp_path: Path) -> None:
    """A changed byte is found by its hash before anything is read."""
    folder = rewritten(exported("int8"), tmp_path / "m", {})
    content = bytearray((folder / "audio.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "audio.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"audio.onnx is damaged"):
        build_retriever(ModelConfig("whisper", str(folder), "characters"))


@pytest.mark.parametrize(
    "config", [ModelConfig(model_name="bundled"), ModelConfig("whisper", "bundled", "encoder", "some/bert")]
)
def test_other_towers_are_refused(config: ModelConfig) -> None:
    """A model folder has the towers that it has; the sentence names the options."""
    with pytest.raises(SettingError, match="add --audio-tower whisper --text-tower characters"):
        build_retriever(config)


def test_settings_are_pinned_to_the_folder(bundled: ModelFolder) -> None:
    """Widths and encoder id are the folder's; settings that start from something else stay as they are."""
    found = pinned(FROM_BUNDLED)
    assert (found.dim, found.head_width, found.base_id) == (256, 384, bundled.encoder_id)
    assert pinned(ModelConfig()) == ModelConfig()
