"""What a graph runs on is asked for, checked and told; no session falls back without a word."""

import logging
import sys

import onnxruntime
import pytest

from streaming.encoding import providers
from streaming.encoding.frame_encoders import open_frame_encoder
from streaming.encoding.providers import check_provider, chosen_providers
from streaming.errors import ModelError, SettingError
from streaming.model_folder import BUNDLED, ModelFolder

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def test_cpu_is_the_cpu_whatever_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is asked for, and nothing is told."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    assert chosen_providers("cpu") == [CPU]
    check_provider("cpu", CPU, "audio.onnx")


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_gpu_is_asked_for_where_it_is(
    asked: providers.Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CUDA libraries are loaded once; what the library prints meanwhile never reaches standard output."""
    loaded: list[int] = []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: loaded.append(sys.stdout.write("no libcudnn")))
    providers._load_cuda_libraries.cache_clear()
    assert chosen_providers(asked) == chosen_providers(asked) == [CUDA, CPU]
    providers._load_cuda_libraries.cache_clear()
    assert len(loaded) == 1
    assert capsys.readouterr().out == ""


def test_gpu_that_this_build_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cuda` names what there is and the cure; `auto` takes the CPU."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(SettingError, match=r"--provider cuda: .* has only CPUExecutionProvider; .*onnxruntime-gpu"):
        chosen_providers("cuda")
    assert chosen_providers("auto") == [CPU]


def test_fallback_is_never_silent(caplog: pytest.LogCaptureFixture) -> None:
    """A session that runs on the CPU in the end is an error for `cuda` and a warning for `auto`."""
    with pytest.raises(ModelError, match=r"audio\.onnx was to run on CUDA, and ONNX Runtime took CPUExecutionProvider"):
        check_provider("cuda", CPU, "audio.onnx")
    with caplog.at_level(logging.INFO, "streaming.encoding.providers"):
        check_provider("auto", CPU, "text.onnx")
        check_provider("cuda", CUDA, "spans.onnx")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "text.onnx runs on the CPU" in caplog.text
    assert "spans.onnx runs on CUDA" in caplog.text


def test_encoder_asks_and_checks(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The bundled model opened with `auto` on a build without CUDA works, and says on what."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    folder = ModelFolder.load(BUNDLED)
    open_frame_encoder(folder, provider="auto")
    assert "step.onnx runs on the CPU" in caplog.text
    with pytest.raises(SettingError, match="--provider cuda"):
        open_frame_encoder(folder, provider="cuda")
