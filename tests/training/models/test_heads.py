import pytest
import torch

from training.compact.train_spans import letters_of
from training.models.heads import AlignmentHead, CharacterTower, HeadConfig, SpanTower


def test_alignment_head_gives_log_probabilities() -> None:
    """Both alphabets are normalised in every frame; the features have the head's width."""
    head = AlignmentHead(HeadConfig(frame_width=12, width=16)).eval()
    characters, phonemes, features = head(torch.randn(2, 9, 12))
    assert (characters.shape, phonemes.shape, features.shape) == ((2, 9, 29), (2, 9, 41), (2, 9, 16))
    for log_probs in (characters, phonemes):
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 9))


def test_span_vectors_have_unit_norm() -> None:
    """Cosines are inner products."""
    vectors = SpanTower(18, 8)(torch.randn(5, 18))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))


@pytest.mark.parametrize("other", ["a", "a much longer neighbour in the batch"])
def test_a_text_has_one_vector(other: str) -> None:
    """The vector of a text does not depend on the lengths of the other texts of its batch, and has unit norm."""
    torch.manual_seed(4)
    tower = CharacterTower(8, width=16, layers=1, heads=2).eval()
    alone, beside = tower(letters_of(["term"]))[0], tower(letters_of(["term", other]))[0]
    torch.testing.assert_close(beside, alone, atol=1e-5, rtol=1e-4)
    assert float(alone.detach().norm()) == pytest.approx(1.0, abs=1e-5)
