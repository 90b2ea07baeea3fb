"""How one stream is heard."""

from dataclasses import dataclass, field

from streaming.audio import AudioFormat
from streaming.decision_config import DecisionConfig
from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE
from streaming.segmentation import SegmentationConfig
from streaming.spans import FRAME_SAMPLES

HOPS_MS = (640, 320)
"""New audio of a decision that may be asked for: two blocks of the encoder, or one."""
HOP_MS = HOPS_MS[0]
"""That where nothing else is asked for."""

_FRAME_MS = FRAME_SAMPLES * 1000 // SAMPLE_RATE
# The longest input a Whisper-shaped encoder has positions for.
_MAX_CONTEXT_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """How one stream is heard; raises SettingError for times that do not fit together.

    Attributes:
        decision: when a candidate becomes a hint.
        format: how the bytes are to be read.
        hop_ms: new audio per decision.
        look_again_ms: new audio per decision where the one before left something to be looked at again; where it is
            less than a hop, hops are multiples of it.
        context_ms: audio per encoder pass, the hop included.
        gate_ms: a hop is encoded where speech was heard in this time before its end.
        segmentation: when a speech segment starts and ends.
        interim_hints: whether tentative candidates are told as hints that are not final.
    """

    decision: DecisionConfig
    format: AudioFormat = field(default_factory=AudioFormat)
    hop_ms: int = HOP_MS
    look_again_ms: int = 320
    context_ms: int = 3000
    gate_ms: int = 1600
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)
    interim_hints: bool = False

    def __post_init__(self) -> None:
        for name in ("hop_ms", "look_again_ms", "context_ms"):
            value = getattr(self, name)
            if value < _FRAME_MS or value % _FRAME_MS:
                raise SettingError(
                    f"{name} = {value} does not fit the encoder's frames: give a multiple of {_FRAME_MS}"
                )
        if self.hop_ms % min(self.look_again_ms, self.hop_ms):
            raise SettingError(f"hop_ms = {self.hop_ms} is no multiple of look_again_ms = {self.look_again_ms}")
        if not self.hop_ms <= self.context_ms <= _MAX_CONTEXT_MS:
            raise SettingError(
                f"context_ms = {self.context_ms} is out of range: give at least hop_ms = {self.hop_ms}"
                f" and at most {_MAX_CONTEXT_MS}"
            )
        if self.gate_ms < self.hop_ms:
            raise SettingError(f"gate_ms = {self.gate_ms} would miss speech: give at least hop_ms = {self.hop_ms}")
