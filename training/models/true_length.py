"""Whisper-shaped audio encoders at true length.

The stock forward wants every clip padded to 30 s. Here the position table is cut to the longest clip of the batch, and
padding inside the batch is masked so that a row's frames are those it has alone.
"""

from typing import TypeAlias

import torch
from torch import Tensor, nn
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from streaming.errors import SettingError
from training.models.precision import Precision, computing_in

Encoder: TypeAlias = Qwen2AudioEncoder | WhisperEncoder

MEL_PER_FRAME = 2
FRAMES_PER_SECOND = 50


def within(frames: Tensor, longest: int) -> Tensor:
    """Lengths int64[n] -> bool[n, longest], true where a row has a frame."""
    return torch.arange(longest, device=frames.device)[None, :] < frames[:, None]


class TrueLengthTower(nn.Module):
    """An `AudioTower` over the weights of a Whisper-shaped encoder.

    Log-mel float32[n, mel_bins, 2t] and lengths int64[n] in frames of 20 ms -> float32[n, t, frame_width], behind the
    encoder's last norm and 0 beyond each length. Lengths of None mean that no row is padded (the graph for serving).

    Attributes:
        encoder: the module whose weights are used; its own forward is not.
        frame_width: width of a frame.
        mel_bins: rows of the log-mel.
        precision: of the products; the frames that come out are float32.
        is_pretrained: whether the encoder learns at the lower rate of pretrained weights.
    """

    def __init__(self, encoder: Encoder, *, precision: Precision = "fp32", is_pretrained: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        self.frame_width: int = encoder.config.d_model
        self.mel_bins: int = encoder.config.num_mel_bins
        self.precision: Precision = precision
        self.is_pretrained = is_pretrained

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> Tensor:
        with computing_in(self.precision, mel.device):
            hidden: Tensor = self.encoder.layer_norm(self.hidden(mel, frames)).float()
        if frames is None:
            return hidden
        return hidden.masked_fill(~within(frames, hidden.shape[1])[:, :, None], 0.0)

    def hidden(self, mel: Tensor, frames: Tensor | None) -> Tensor:
        """What the last layer gives, [n, t, frame_width], before the last norm; rows are undefined past their length.

        Raises SettingError for audio that is longer than the encoder has positions.
        """
        encoder = self.encoder
        longest, positions = mel.shape[2] // MEL_PER_FRAME, encoder.embed_positions.num_embeddings
        if longest > positions:
            raise SettingError(
                f"audio of {longest / FRAMES_PER_SECOND:.2f} s does not fit the audio tower, which has positions for "
                f"{positions / FRAMES_PER_SECOND:.2f} s; cut it into shorter rows"
            )
        if frames is not None:
            # A convolution must find zeros past the end of a row, as it does past the end of a batch. The second one
            # reads no further than the last true mel frame, so only its input, not the output, could leak.
            mel = mel * within(MEL_PER_FRAME * frames, mel.shape[2])[:, None, :]
        hidden = nn.functional.gelu(encoder.conv1(mel.to(encoder.conv1.weight.dtype)))
        hidden = nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        hidden = nn.functional.dropout(hidden, p=encoder.dropout, training=self.training)
        mask = None if frames is None else _additive(within(frames, longest), hidden.dtype)
        for layer in encoder.layers:
            hidden = layer(hidden, mask)
        return hidden


def _additive(valid: Tensor, dtype: torch.dtype) -> Tensor:
    """bool[n, t] -> [n, 1, 1, t], 0 where attention may look and the lowest number elsewhere."""
    mask = torch.zeros(valid.shape, dtype=dtype, device=valid.device)
    return mask.masked_fill(~valid, torch.finfo(dtype).min)[:, None, None, :]
