"""InfoNCE: van den Oord et al. (2018), in the multi-positive form of Khosla et al. (2020)."""

from torch import Tensor


def multi_positive_info_nce(
    similarity: Tensor, positive: Tensor, ignored: Tensor, temperature: float | Tensor
) -> Tensor:
    """Symmetric InfoNCE with several positives a row: a scalar, 0 where nothing has a positive.

    Args:
        similarity: float32[n, m] cosines of anchors and candidates.
        positive: bool[n, m]; a row or column without any is left out of its direction.
        ignored: bool[n, m], pairs that are neither (variants of the positive's term).
        temperature: divides the similarity.
    """
    logits = (similarity / temperature).masked_fill(ignored & ~positive, float("-inf"))

    def one_way(scores: Tensor, mask: Tensor) -> Tensor:
        used = mask.any(1)
        if not used.any():
            return similarity.sum() * 0.0
        scores, mask = scores[used], mask[used]
        return (scores.logsumexp(1) - scores.masked_fill(~mask, float("-inf")).logsumexp(1)).mean()

    return 0.5 * (one_way(logits, positive) + one_way(logits.T, positive.T))


def audio_text_loss(chunks: Tensor, texts: Tensor, text_keys: Tensor, temperature: float | Tensor) -> Tensor:
    """Symmetric InfoNCE of rows and their transcripts: a scalar.

    Rows with one key say the same, so each is a positive of the other's text; what has no transcript takes no part.

    Args:
        chunks: float32[n, dim], unit vectors.
        texts: float32[n, dim], unit vectors.
        text_keys: int64[n], -1 where there is no transcript.
        temperature: divides the cosines.
    """
    known = text_keys >= 0
    positive = (text_keys[:, None] == text_keys[None, :]) & known[:, None] & known[None, :]
    ignored = ~(known[:, None] & known[None, :])
    return multi_positive_info_nce(chunks @ texts.T, positive, ignored, temperature)
