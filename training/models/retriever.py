"""The dual encoder: spans of audio and texts of terms, as unit vectors of one space."""

import math
from typing import TypeAlias

import torch
from torch import nn

from streaming.errors import SettingError
from streaming.spans import PARTS
from training.loop.config import ModelConfig
from training.models.adapters import choose_trained, compute_again_in_backward
from training.models.base_folder import base_folder
from training.models.heads import AlignmentHead, HeadConfig, SpanTower
from training.models.interfaces import RetrieverInputs, RetrieverOutputs
from training.models.loading import load_encoder_lm, load_qwen2_audio, load_tokenizer
from training.models.pooling import pool_spans
from training.models.precision import Precision, computing_in_fp32, store_in
from training.models.qwen_audio import load_audio_tower_only, tower_of
from training.models.served import ServedBase, read_base
from training.models.text_towers import CharacterText, EncoderLmText, Qwen2LmText
from training.models.true_length import TrueLengthTower, within
from training.models.whisper_tower import WhisperShape, load_whisper_tower, random_whisper_tower

Text: TypeAlias = CharacterText | Qwen2LmText | EncoderLmText


class DualEncoder(nn.Module):
    """Both towers and their heads; one call makes all that the losses see, so that data parallelism can wrap it.

    The heads compute in fp32 whatever the towers do: they cost little, and cosines need the digits.

    Attributes:
        audio: log-mel -> frames.
        alignment: frames -> log-probabilities of both alphabets and the features that spans pool.
        spans: pooled features -> unit vectors.
        text: tokens -> unit vectors.
        log_scale: logarithm of the inverse temperature, learnt; the losses read it.
        mel_bins: rows of the log-mel.
        dim: width of the shared space.
    """

    def __init__(
        self, audio: TrueLengthTower, text: Text, dim: int, *, head_width: int = 384, temperature: float = 0.07
    ) -> None:
        super().__init__()
        self.audio = audio
        self.alignment = AlignmentHead(HeadConfig(frame_width=audio.frame_width, width=head_width))
        self.spans = SpanTower(PARTS * head_width, dim)
        self.text = text
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.mel_bins = audio.mel_bins
        self.dim = dim

    def forward(self, inputs: RetrieverInputs) -> RetrieverOutputs:
        frames = self.audio(inputs.mel, inputs.frames)
        with computing_in_fp32(frames.device):
            characters, phonemes, features = self.alignment(frames, within(inputs.frames, frames.shape[1]))
            whole = torch.stack((torch.zeros_like(inputs.frames), inputs.frames), dim=-1)[:, None]
            vectors = self.spans(pool_spans(features, torch.cat((inputs.spans, whole), dim=1)))
        return RetrieverOutputs(
            spans=vectors[:, :-1],
            chunks=vectors[:, -1],
            terms=self.text(inputs.terms),
            texts=None if inputs.texts is None else self.text(inputs.texts),
            characters=characters,
            phonemes=phonemes,
        )

    def bodies(self) -> tuple[nn.Module, ...]:
        """The pretrained networks inside the towers."""
        audio = (self.audio.encoder,) if self.audio.is_pretrained else ()
        text = () if isinstance(self.text, CharacterText) else (self.text.model,)
        return audio + text

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """What learns: `towers` are pretrained weights, `new` is all else, adapters included."""
        pretrained = {
            id(parameter)
            for body in self.bodies()
            for name, parameter in body.named_parameters()
            if "lora_" not in name
        }
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return {
            "towers": [parameter for parameter in learning if id(parameter) in pretrained],
            "new": [parameter for parameter in learning if id(parameter) not in pretrained],
        }


def build_retriever(config: ModelConfig, precision: Precision = "fp32", *, temperature: float = 0.07) -> DualEncoder:
    """The retriever of a configuration: pretrained weights, and heads and adapters drawn from torch's generator.

    Args:
        config: the towers and what of them learns.
        precision: of the products; frozen weights are kept in it, trained ones in fp32.
        temperature: at the start.

    Raises:
        ModelError: a pretrained model or a model folder does not load.
        SettingError: settings that contradict each other.
    """
    folder = base_folder(config)
    if folder is None:
        towers = _towers(config, precision)
        model = DualEncoder(*towers, config.dim, head_width=config.head_width, temperature=temperature)
    else:
        model = _as_served(read_base(folder), precision, temperature)
    for body in model.bodies():
        choose_trained(body, config.unfreeze_layers, config.lora)
    if config.gradient_checkpointing:
        compute_again_in_backward(model.audio.encoder)
        if not isinstance(model.text, CharacterText):
            compute_again_in_backward(model.text.model)
    store_in(model, precision)
    # Pretrained parts come in evaluation mode, in which no layer would run again in the backward pass.
    return model.train()


def _as_served(base: ServedBase, precision: Precision, temperature: float) -> DualEncoder:
    """The retriever of a model folder; only the temperature, which serving does not need, starts anew."""
    spec, size = base.folder.spec, base.size
    shape = WhisperShape(size.width, size.layers, size.heads, size.inner, spec.mel_bins, dropout=0.0)
    audio = random_whisper_tower(shape, precision, is_pretrained=True)
    # An export tells by this name where its weights come from.
    audio.encoder.config.name_or_path = f"{base.folder.encoder_id} ({spec.licence})"
    model = DualEncoder(
        audio, CharacterText(spec.dim), spec.dim, head_width=spec.feature_width, temperature=temperature
    )
    places = {name: parameter for name, parameter in model.named_parameters() if parameter is not model.log_scale}
    values = base.fitted({name: parameter.shape for name, parameter in places.items()})
    for name, parameter in places.items():
        parameter.data = torch.from_numpy(values[name])
    return model


def _towers(config: ModelConfig, precision: Precision) -> tuple[TrueLengthTower, Text]:
    name, offline = config.model_name, config.offline
    if config.text_tower == "qwen2-lm":
        if config.audio_tower != "qwen2-audio":
            raise SettingError(
                f"the text tower qwen2-lm is a part of Qwen2-Audio and does not go with {config.audio_tower!r}; "
                "take --text-tower characters or encoder"
            )
        whole = load_qwen2_audio(name, precision=precision, offline=offline)
        tokenizer = load_tokenizer(name, offline=offline)
        return tower_of(whole, precision), Qwen2LmText(
            whole.model.language_model, tokenizer, config.dim, precision=precision
        )
    return _audio_tower(config, precision), _text_tower(config, precision)


def _audio_tower(config: ModelConfig, precision: Precision) -> TrueLengthTower:
    if config.audio_tower == "qwen2-audio":
        return load_audio_tower_only(config.model_name, precision=precision, offline=config.offline)
    if not config.model_name:
        return random_whisper_tower(WhisperShape(), precision)
    return load_whisper_tower(config.model_name, precision=precision, offline=config.offline)


def _text_tower(config: ModelConfig, precision: Precision) -> Text:
    if config.text_tower == "characters":
        return CharacterText(config.dim)
    if not config.text_model:
        raise SettingError("the text tower `encoder` needs --text-model, a hub id or a folder of an encoder")
    model = load_encoder_lm(config.text_model, precision=precision, offline=config.offline)
    tokenizer = load_tokenizer(config.text_model, offline=config.offline)
    return EncoderLmText(model, tokenizer, config.dim, precision=precision)
