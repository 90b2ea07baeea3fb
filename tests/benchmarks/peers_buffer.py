"""The growing buffer of a recogniser that was made for whole recordings, when it must follow a live stream.

Once a second the whole buffer is decoded anew, unless no speech is in it. After the decode a buffer longer than 8 s is
cut in the middle of its last pause of at least 0.3 s that follows speech (WebRTC voice detector, frames of 20 ms);
without such a pause, once it is longer than 20 s, at the end of the last word that ended at least 1 s ago. A shorter
one is kept: the recogniser wants context. Words count at first sight.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.peers_matching import TimedWord

FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class BufferPolicy:
    """Seconds: between decodes; of a pause that cuts; of buffers kept, and of the longest; unsure at a buffer's end."""

    step_s: float = 1.0
    pause_s: float = 0.3
    shortest_s: float = 8.0
    longest_s: float = 20.0
    unsure_s: float = 1.0


def last_pause(speech: Sequence[bool], frames: int) -> int | None:
    """The frame in the middle of the last pause of at least `frames` that follows speech; None without one."""
    end = len(speech)
    while end > 0:
        if speech[end - 1]:
            end -= 1
            continue
        first = end
        while first > 0 and not speech[first - 1]:
            first -= 1
        if first > 0 and end - first >= frames:
            return (first + end) // 2
        end = first
    return None


def next_start(
    start: float, now: float, speech: Sequence[bool], words: Sequence[TimedWord], policy: BufferPolicy
) -> float:
    """Where the buffer begins after its decode.

    Args:
        start: where it began, in seconds of the stream.
        now: the end of what was heard.
        speech: one flag per frame of 20 ms from `start` on.
        words: what was decoded.
        policy: when to cut.
    """
    if not any(speech):
        # The detector is late by some frames: the beginning of a word may lie before its first flag.
        return max(start, now - policy.pause_s)
    if now - start <= policy.shortest_s:
        return start
    pause = last_pause(speech, round(policy.pause_s / FRAME_S))
    if pause is not None:
        return start + pause * FRAME_S
    if now - start <= policy.longest_s:
        return start
    sure = now - policy.unsure_s
    return max((word.end for word in words if start < word.end <= sure), default=sure)
