"""The audio tower of Qwen2-Audio (Chu et al., 2024) as 50 frames a second at true length.

The model itself averages pairs of frames before its last norm. Spans and alignment need the full 50 frames, so the
retriever takes the frames before that average, behind the norm; averaging `TrueLengthTower.hidden` first gives the
stock output.
"""

from transformers import PreTrainedConfig, Qwen2AudioForConditionalGeneration
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder

from training.models.loading import QWEN2_AUDIO_TYPE, config_of_type, load_part
from training.models.precision import Precision
from training.models.true_length import TrueLengthTower


def tower_of(model: Qwen2AudioForConditionalGeneration, precision: Precision = "fp32") -> TrueLengthTower:
    """The audio tower of a loaded model, over the very same weights."""
    return TrueLengthTower(model.model.audio_tower, precision=precision)


def load_audio_tower_only(name: str, *, precision: Precision = "fp32", offline: bool = False) -> TrueLengthTower:
    """The audio tower without the language model: 0.6 of the 8.4 billion weights of the published model are read.

    Raises ModelError for a model that does not load or is of another kind.
    """
    config = config_of_type(name, QWEN2_AUDIO_TYPE, offline=offline)
    audio: PreTrainedConfig = getattr(config, "audio_config")  # noqa: B009 - declared as a mapping, never one here
    encoder = load_part(Qwen2AudioEncoder, audio, name, "audio_tower", precision=precision, offline=offline)
    return TrueLengthTower(encoder, precision=precision)
