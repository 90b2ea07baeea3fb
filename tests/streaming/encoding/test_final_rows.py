from dataclasses import replace

import pytest

from streaming.encoding.encoded_context import EncodedContext
from tests.streaming.encoding.block_streams import BLOCKS, CONTEXT, HOP, Contexts, MeanSteps, noise, open_stream


def _rows(encoded: EncodedContext, first: int, stop: int) -> list[bytes]:
    parts = (encoded.characters, encoded.phonemes, encoded.frames, encoded.hidden)
    return [part[first:stop].tobytes() for part in parts if part is not None]


@pytest.mark.parametrize("right", [2, 4, 8])
@pytest.mark.parametrize("hops", [(HOP,), (HOP // 4,), (3 * HOP, HOP // 2, HOP), (5 * 320, HOP)])
def test_final_rows_never_change(right: int, hops: tuple[int, ...]) -> None:
    """Within a stretch, a later context has the same final rows, whatever is asked for without being kept."""
    audio = noise(40 * HOP)
    blocks = replace(BLOCKS, right=right)
    encoder = open_stream(MeanSteps(), blocks=blocks)
    contexts, before, number = Contexts(encoder, audio), None, 0
    while contexts.end + max(hops) <= len(audio):
        now = contexts.hop(hops[number % len(hops)])
        number += 1
        assert now is not None
        assert 0 <= now.final < CONTEXT
        moved = hops[(number - 1) % len(hops)] // 320
        if before is not None and before.final > moved:
            assert now.stretch == before.stretch
            assert now.final + moved >= before.final
            assert _rows(now, 0, before.final - moved) == _rows(before, moved, before.final)
        made_up = encoder.encode(noise(CONTEXT * 320, number), contexts.end + 2 * HOP, is_kept=False)
        # What stands behind is made up, and nothing more is final than before.
        assert made_up.final == max(0, now.final - 2 * BLOCKS.block)
        assert made_up.stretch == now.stretch
        before = now


def test_a_stretch_ends_where_the_stream_begins_anew() -> None:
    """After a silence that the context does not hold, frames have another stretch; asked for only once, they have none."""
    encoder = open_stream(MeanSteps())
    contexts = Contexts(encoder, noise(40 * HOP))
    first = contexts.hop()
    for _ in range(10):
        contexts.hop(asks=False)
    alone = encoder.encode(noise(CONTEXT * 320), contexts.end, is_kept=False)
    later = contexts.hop()
    assert first is not None
    assert later is not None
    assert (alone.final, alone.stretch) == (0, None)
    assert later.stretch != first.stretch
