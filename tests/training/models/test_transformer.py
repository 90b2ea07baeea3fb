import pytest
import torch
from torch import nn

from training.models.transformer import TransformerStack


@pytest.fixture
def padded() -> tuple[torch.Tensor, torch.Tensor]:
    """Three sequences of 7, 5 and 1 symbols, float32[3, 7, 16], and their padding."""
    torch.manual_seed(8)
    pad = torch.arange(7)[None, :] >= torch.tensor([7, 5, 1])[:, None]
    return torch.randn(3, 7, 16), pad


def test_stack_equals_torch_s(padded: tuple[torch.Tensor, torch.Tensor]) -> None:
    """With the same weights the stack gives what torch.nn.TransformerEncoder gives, padding left aside."""
    x, pad = padded
    layer = nn.TransformerEncoderLayer(16, 4, 48, 0.0, activation="gelu", batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours = TransformerStack(16, 2, 4, 48, 0.0)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x, pad)[~pad], theirs(x, src_key_padding_mask=pad)[~pad], atol=1e-4, rtol=1e-4)


def test_padding_is_not_seen(padded: tuple[torch.Tensor, torch.Tensor]) -> None:
    """What stands in padded places changes nothing in the others."""
    x, pad = padded
    stack = TransformerStack(16, 2, 4, 32, 0.0).eval()
    other = torch.where(pad[:, :, None], torch.randn_like(x), x)
    torch.testing.assert_close(stack(x, pad)[~pad], stack(other, pad)[~pad])
