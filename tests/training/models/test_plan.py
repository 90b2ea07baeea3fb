from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen2AudioEncoderConfig, Qwen2Config, Qwen2Model
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder

from streaming.errors import SettingError
from training.loop.config import LoraSettings, ModelConfig, RunConfig, TrainConfig
from training.loop.plan import CARDS, GIB, Workload, largest_micro_batch, lora_parameters, plan
from training.loop.presets import PRESETS
from training.models.adapters import choose_trained
from training.models.precision import Precision, computing_in, store_in
from training.models.published import WHISPER, audio_shape, text_shape
from training.models.retriever import build_retriever
from training.models.shapes import BertShape, EncoderShape, LanguageModelShape
from training.models.true_length import TrueLengthTower

LORA = LoraSettings(rank=4, modules=("q_proj", "fc1", "o_proj", "query", "dense"))
ROWS, FRAMES = 3, 64


@pytest.mark.parametrize("unfreeze", [None, 0, 1])
@pytest.mark.parametrize("lora", [None, LORA])
@pytest.mark.parametrize("towers", ["qwen2-lm", "qwen2-audio + characters", "whisper + encoder", "random whisper"])
def test_weights_on_paper_are_those_of_the_model(
    towers: str,
    unfreeze: int | None,
    lora: LoraSettings | None,
    qwen_folder: Path,
    whisper_folder: Path,
    lm_folder: Path,
) -> None:
    """Part by part, all weights and the trained ones are counted exactly."""
    config = replace(
        {
            "qwen2-lm": ModelConfig(model_name=str(qwen_folder), dim=16),
            "qwen2-audio + characters": ModelConfig(model_name=str(qwen_folder), text_tower="characters", dim=16),
            "whisper + encoder": ModelConfig("whisper", str(whisper_folder), "encoder", str(lm_folder), dim=16),
            "random whisper": ModelConfig("whisper", "", "characters", dim=16),
        }[towers],
        unfreeze_layers=unfreeze,
        lora=lora,
    )
    model = build_retriever(config)
    planned = plan(TrainConfig(model=config))

    def count(of: nn.Module, trained: bool) -> int:
        return sum(p.numel() for p in of.parameters() if p.requires_grad or not trained)

    audio = model.audio
    projection = sum(p.numel() for n, p in model.text.named_parameters() if n.startswith("projection."))
    for trained in (False, True):
        text = count(model.text, trained) - projection
        real = [count(audio, trained), text, count(model, trained) - count(audio, trained) - text]
        assert [part.trained if trained else part.parameters for part in planned.parts] == real


def test_the_published_model_has_its_published_size() -> None:
    """The two towers, the projector and the output layer make the 8,397,094,912 weights of the hub's page."""
    audio, words = EncoderShape(), LanguageModelShape()
    towers = sum(shape.front + shape.layers * shape.layer for shape in (audio, words))
    projector = audio.width * words.width + words.width
    assert towers + projector + words.vocabulary * words.width == 8_397_094_912


def kept_bytes(run: Callable[[], Tensor]) -> int:
    """Bytes that one call keeps of its rows for the backward pass; weights and their copies are left out."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter) and tensor.ndim and len(tensor) in {ROWS, ROWS * FRAMES}:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def encoder_kept(layers: int, precision: Precision, lora: LoraSettings | None) -> int:
    """Of a real encoder of 256 and 512."""
    config = Qwen2AudioEncoderConfig(
        d_model=256, encoder_ffn_dim=512, encoder_attention_heads=4, encoder_layers=layers, num_mel_bins=16
    )
    body = Qwen2AudioEncoder(config)
    choose_trained(body, None if lora is None else 0, lora)
    store_in(body, precision)
    tower = TrueLengthTower(body, precision=precision).train()
    return kept_bytes(lambda: tower(torch.randn(ROWS, 16, 2 * FRAMES), torch.full((ROWS,), FRAMES)))


def language_model_kept(layers: int, precision: Precision, lora: LoraSettings | None) -> int:
    """Of a real language model of 256 and 512."""
    body = Qwen2Model(
        Qwen2Config(
            vocab_size=50,
            hidden_size=256,
            intermediate_size=512,
            num_attention_heads=4,
            num_key_value_heads=4,
            num_hidden_layers=layers,
        )
    )
    choose_trained(body, None if lora is None else 0, lora)
    store_in(body, precision)
    body.train()
    ids, mask = torch.randint(50, (ROWS, FRAMES)), torch.ones(ROWS, FRAMES, dtype=torch.int64)

    def run() -> Tensor:
        with computing_in(precision, ids.device):
            hidden: Tensor = body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return hidden

    return kept_bytes(run)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)])
@pytest.mark.parametrize("kind", ["encoder", "language model"])
def test_activations_on_paper_are_those_of_autograd(kind: str, lora: LoraSettings | None, precision: Precision) -> None:
    """What two layers more really keep for each token is at most the figure of the plan, and not half of it."""
    real = encoder_kept if kind == "encoder" else language_model_kept
    per_layer = (real(3, precision, lora) - real(1, precision, lora)) / 2 / (ROWS * FRAMES)
    shape = EncoderShape(256, 2, 512, 16) if kind == "encoder" else LanguageModelShape(256, 2, 512, 4, 4, vocabulary=50)
    paper = shape.kept(4 if precision == "fp32" else 2)
    if lora is not None:
        inputs = sum(fan_in for name, (fan_in, _) in shape.linear().items() if name in lora.modules)
        paper += 4 * inputs + 8 * shape.width
    # A hundred bytes are norms' means and deviations, which the plan leaves out.
    assert 0.5 * paper < per_layer < paper + 200


def test_every_preset_has_a_plan_that_fits_its_card() -> None:
    """The micro-batch of each preset fits on the card of 80 GB, and that of `24gb` on the card of 24 GB."""
    for name, config in PRESETS.items():
        planned = plan(config)
        by_memory = {fit.card.gib: fit for fit in planned.fits}
        assert by_memory[80].micro_batch >= planned.wanted_micro_batch, name
    small = plan(PRESETS["24gb"])
    assert small.memory(small.wanted_micro_batch) < 24 * GIB
    assert small.fits[0].card.gib == 24
    assert small.fits[0].micro_batch >= small.wanted_micro_batch


def test_all_of_the_7b_model_does_not_train_on_one_card() -> None:
    """Sixteen bytes a weight are more than 80 GB, and the plan says so."""
    planned = plan(TrainConfig(model=ModelConfig(unfreeze_layers=None)))
    assert planned.static_bytes > 100e9
    assert [fit.micro_batch for fit in planned.fits] == [0, 0, 0]


def test_the_largest_micro_batch_is_the_last_that_fits() -> None:
    """One row more would not fit, except where the batch has no more."""
    planned = plan(replace(PRESETS["qwen2-audio"], run=RunConfig(batch_size=4096, precision="bf16")))
    for card in CARDS:
        rows = largest_micro_batch(planned, card.gib)
        usable = 0.93 * card.gib * GIB
        assert planned.memory(rows) <= usable < planned.memory(rows + 1)
    assert largest_micro_batch(replace(planned, batch_size=3), 80) == 3
    assert largest_micro_batch(planned, 8) == 0


def test_checkpointing_trades_memory_for_products() -> None:
    """Layers that run again keep less and compute more."""
    without = plan(TrainConfig(model=ModelConfig(lora=LoraSettings())))
    again = plan(TrainConfig(model=ModelConfig(lora=LoraSettings(), gradient_checkpointing=True)))
    assert again.row_bytes < without.row_bytes / 5
    assert again.step_flops > without.step_flops


def test_gradient_caching_costs_a_forward_pass() -> None:
    """A micro-batch below the batch runs every row forward once more; the seconds follow the products."""
    whole = plan(TrainConfig(run=RunConfig(batch_size=8)))
    cached = plan(TrainConfig(run=RunConfig(batch_size=8, micro_batch=2)))
    forward = sum(part.forward_flops for part in whole.parts)
    assert cached.step_flops == pytest.approx(whole.step_flops + 8 * forward)
    ratio = cached.fits[0].seconds / whole.fits[0].seconds
    assert ratio == pytest.approx(cached.step_flops / whole.step_flops)


def test_products_of_a_frozen_tower_are_two_a_weight_and_token() -> None:
    """By hand: 288 frames through 32 layers and the convolutions, and their attention; heads cost three passes."""
    audio, _, heads = plan(TrainConfig(), Workload(seconds=5.76)).parts
    shape = EncoderShape()
    products = 2 * 288 * (32 * shape.layer + shape.front - shape.looked_up)
    assert audio.flops == audio.forward_flops == products + 32 * 4 * 288 * 288 * 1280
    assert heads.flops == 3 * heads.forward_flops


def test_adapters_count_both_their_sides() -> None:
    """Rank times width in and width out, of the modules that are named and exist."""
    settings = LoraSettings(rank=3, modules=("fc1", "q_proj", "gate_proj"))
    assert lora_parameters(EncoderShape(), settings) == 3 * (1280 + 5120) + 3 * (1280 + 1280)
    assert lora_parameters(BertShape(), settings) == 0


@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(model_name="nobody/other-audio"),
        ModelConfig("whisper", "nobody/whisper-enormous", "characters"),
        ModelConfig(text_tower="encoder", text_model="nobody/bert"),
    ],
)
def test_an_unknown_size_is_told(model: ModelConfig) -> None:
    """A hub id without a published size here asks for a local folder; nothing is downloaded."""
    with pytest.raises(SettingError, match=r"the size of 'nobody/.*' is not known here; name a local folder"):
        plan(TrainConfig(model=model))


def test_a_broken_config_is_told(tmp_path: Path) -> None:
    """A config.json that is no JSON is named."""
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(SettingError, match=r"config\.json is not JSON"):
        audio_shape(ModelConfig(model_name=str(tmp_path)))


def test_published_sizes_are_found_by_name() -> None:
    """Whisper by its size, Qwen2-Audio with and without instructions."""
    assert audio_shape(ModelConfig("whisper", "openai/whisper-small", "characters")) == WHISPER["small"]
    assert text_shape(ModelConfig(model_name="Qwen/Qwen2-Audio-7B")) == LanguageModelShape()
