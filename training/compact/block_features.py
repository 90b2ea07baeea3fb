"""Log-mel features of a batch on its device, scaled as a stream scales them or as a single context is scaled."""

import functools

import torch
from torch import Tensor

from streaming.features import HOP, WINDOW, mel_filters

# Of a bin in which nothing is heard.
_LEAST_POWER = 1e-10


def log_mel(audio: Tensor) -> Tensor:
    """float32[n, samples] at 16 kHz -> float32[n, 80, samples // 160], not yet scaled (`streaming.features`)."""
    window = torch.hann_window(WINDOW, device=audio.device)
    spectrum = torch.stft(audio, WINDOW, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    power = spectrum[:, :, : audio.shape[1] // HOP].abs().square()
    return (_filters(audio.device) @ power).clamp(min=_LEAST_POWER).log10()


@functools.cache
def _filters(device: torch.device) -> Tensor:
    return torch.from_numpy(mel_filters().T.copy()).to(device)


def scaled_by_hop(raw: Tensor, hop: int, first: int, reach: int) -> Tensor:
    """As a stream scales the frames that come with each hop: see `streaming.features.MelScale`.

    Args:
        raw: float32[n, 80, f] of `log_mel`.
        hop: frames that come together.
        first: frames of the first hop, at most `hop`; 0: a whole one.
        reach: frames of which the loudest counts, the newest included.
    """
    frames = raw.shape[2]
    loudest = raw.amax(dim=1)
    ends = [*range(first or hop, frames, hop), frames]
    parts = []
    for begun, end in zip([0, *ends[:-1]], ends, strict=True):
        parts.append(_scaled(raw[:, :, begun:end], loudest[:, max(0, end - reach) : end].amax(dim=1)))
    return torch.cat(parts, dim=2)


def scaled_alone(raw: Tensor) -> Tensor:
    """As a context that is heard by itself is scaled: float32[n, 80, f] of `log_mel` -> the same shape."""
    return _scaled(raw, raw.amax(dim=(1, 2)))


def _scaled(raw: Tensor, loudest: Tensor) -> Tensor:
    return (torch.maximum(raw, loudest[:, None, None] - 8) + 4) / 4
