import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from streaming.errors import SettingError
from training.loop.config import LoraSettings, ModelConfig
from training.models.adapters import add_lora, choose_trained, compute_again_in_backward, layers_of, merge_lora
from training.models.interfaces import RetrieverInputs
from training.models.loading import load_encoder_lm, load_qwen2_audio
from training.models.retriever import build_retriever


def learning(module: nn.Module) -> set[str]:
    """Names of what learns."""
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


@pytest.fixture(params=["audio", "qwen2", "bert"])
def body(request: pytest.FixtureRequest, qwen_folder: Path, lm_folder: Path) -> nn.Module:
    """Each kind of pretrained network, of 2 layers."""
    if request.param == "bert":
        return load_encoder_lm(str(lm_folder))
    model = load_qwen2_audio(str(qwen_folder)).model
    body: nn.Module = model.audio_tower if request.param == "audio" else model.language_model
    return body


@pytest.mark.parametrize("count", [0, 1, 2])
def test_exactly_so_many_last_layers_learn(body: nn.Module, count: int) -> None:
    """Every weight of the last n layers learns, and nothing else does."""
    choose_trained(body, count, None)
    layers = layers_of(body)
    assert len(layers) == 2
    whole = [all(p.requires_grad for p in layer.parameters()) for layer in layers]
    assert whole == [i >= 2 - count for i in range(2)]
    assert len(learning(body)) == sum(len(list(layer.parameters())) for layer in layers[2 - count :])


def test_all_learn_but_the_positions(qwen_folder: Path) -> None:
    """Without a number the whole network learns; the table of positions stays, since it is cut to each batch."""
    tower = load_qwen2_audio(str(qwen_folder)).model.audio_tower
    choose_trained(tower, None, None)
    assert {name for name, _ in tower.named_parameters()} - learning(tower) == {"embed_positions.weight"}


@pytest.mark.parametrize("count", [-1, 3])
def test_more_layers_than_there_are_is_an_error(body: nn.Module, count: int) -> None:
    """The message names the number, the network and its layers."""
    with pytest.raises(SettingError, match=rf"unfreeze_layers {count} is out of range: \w+ has 2 layers"):
        choose_trained(body, count, None)


def test_adapters_learn_beside_unfrozen_layers(qwen_folder: Path) -> None:
    """With both, the last layer learns and every named module has an adapter that does."""
    tower = load_qwen2_audio(str(qwen_folder)).model.audio_tower
    choose_trained(tower, 1, LoraSettings(rank=2, modules=("q_proj", "fc1")))
    adapters = {name for name in learning(tower) if "lora_" in name}
    assert len(adapters) == 2 * 2 * 2
    assert {name.split(".")[1] for name in learning(tower) - adapters} == {"1"}


def test_unknown_modules_are_told(body: nn.Module) -> None:
    """Names that no linear module has are an error that lists those it has."""
    with pytest.raises(SettingError, match=r"ends with one of nothing; it has .*(dense|q_proj)"):
        add_lora(body, LoraSettings(modules=("nothing",)))


def test_adapters_begin_as_nothing_and_merge_exactly(qwen_folder: Path) -> None:
    """A fresh adapter changes nothing; a trained one, merged into its weight, gives the same and is gone."""
    torch.manual_seed(2)
    plain = build_retriever(ModelConfig(model_name=str(qwen_folder), dim=16)).eval()
    model = build_retriever(ModelConfig(model_name=str(qwen_folder), dim=16, lora=LoraSettings(rank=2))).eval()
    mel, frames = torch.randn(1, 128, 80), torch.tensor([40])
    with torch.no_grad():
        torch.testing.assert_close(model.audio(mel, frames), plain.audio(mel, frames))
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.3)
        tokens = model.text.tokenise(["signal", "a"])
        expected, words = model.audio(mel, frames), model.text(tokens)
        assert not torch.allclose(expected, plain.audio(mel, frames), atol=0.05)
        merged = copy.deepcopy(model)
        merge_lora(merged)
        torch.testing.assert_close(merged.audio(mel, frames), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(merged.text(tokens), words, atol=1e-4, rtol=1e-4)
    assert not [name for name, _ in merged.named_parameters() if "lora_" in name]
    assert {n for n, _ in merged.named_parameters()} == {n for n, _ in plain.named_parameters()}


def saved_bytes(run: Callable[[], Tensor]) -> tuple[int, Tensor]:
    """Bytes that the graph of `run` keeps for its backward pass, parameters left out, and its result."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    return sum(kept.values()), result


def test_checkpointing_keeps_less_and_gives_the_same_gradients(qwen_folder: Path) -> None:
    """With layers that run again, the graph keeps under half the bytes, and all gradients are equal."""
    found: dict[bool, tuple[int, dict[str, Tensor]]] = {}
    for again in (False, True):
        torch.manual_seed(4)
        config = ModelConfig(model_name=str(qwen_folder), dim=16, unfreeze_layers=None, gradient_checkpointing=again)
        model = build_retriever(config)
        model.alignment.eval()
        mel, frames = torch.randn(2, 128, 400), torch.tensor([200, 150])
        kept, result = saved_bytes(lambda model=model, mel=mel, frames=frames: model.audio(mel, frames))  # type: ignore[misc]
        result.square().sum().backward()
        words = model.text(model.text.tokenise(["signal", "a"]))
        words[:, 0].sum().backward()
        found[again] = kept, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert found[True][0] < 0.5 * found[False][0]
    assert found[True][1].keys() == found[False][1].keys()
    for name, gradient in found[False][1].items():
        torch.testing.assert_close(found[True][1][name], gradient, msg=name)


def test_frozen_layers_keep_no_graph(qwen_folder: Path) -> None:
    """Where only heads learn, the audio tower keeps nothing for the backward pass, checkpointing or not."""
    model = build_retriever(ModelConfig(model_name=str(qwen_folder), dim=16, gradient_checkpointing=True))
    assert not model.audio(torch.randn(1, 128, 40), torch.tensor([20])).requires_grad
    tokens = model.text.tokenise(["signal"])
    inputs = RetrieverInputs(torch.randn(1, 128, 40), torch.tensor([20]), torch.tensor([[[0, 9]]]), tokens, None)
    assert model(inputs).spans.requires_grad


def test_a_network_that_cannot_run_again_is_told() -> None:
    """A network without such layers is an error with its name."""
    with pytest.raises(SettingError, match="Linear cannot compute its layers again"):
        compute_again_in_backward(nn.Linear(2, 2))
