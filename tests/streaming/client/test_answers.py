"""What a session that takes the place of another one is asked for."""

import asyncio

import pytest

from streaming.audio import AudioFormat
from streaming.client.answers import Answers
from streaming.client.outgoing import Outgoing
from streaming.protocol import Configure, Configured, EffectivePart

EFFECTIVE = EffectivePart(profile="booth", threshold=0.5, max_hints_per_window=5)


def wishes_after(first: Configure, *later: Configure) -> Configure:
    """What is wished for once the server has confirmed each."""

    async def ask() -> Configure:
        answers = Answers(Outgoing(AudioFormat(), 5, 60), first)
        for number, message in enumerate(later, 1):
            answers.configure(message)
            answers.take(Configured(seq=number, effective=EFFECTIVE, request_id=f"c{number}"))
        return answers.wishes

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (Configure(false_hints_per_hour=30.0), Configure(false_hints_per_hour=30.0)),
        (Configure(profile="mt"), Configure(profile="mt")),
        (Configure(max_hints_per_window=2), Configure(threshold=0.7, max_hints_per_window=2)),
        (Configure(profile="mt", threshold=0.2), Configure(profile="mt", threshold=0.2)),
    ],
)
def test_of_ways_to_say_how_sure_a_hint_must_be_the_last_counts(later: Configure, expected: Configure) -> None:
    """A threshold is not asked for again where false hints or a profile came after it."""
    assert wishes_after(Configure(threshold=0.7), later) == expected
