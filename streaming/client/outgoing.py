"""What a client sends, in its order, and what of it must be sent again; no I/O.

Audio and messages have positions: PCM frames since stream start. Once a second a marker of our own follows the audio;
the server sends it back when it has worked on all before it, which bounds the audio under way and tells what need not
be kept.
"""

from collections import deque
from dataclasses import dataclass

from streaming.audio import AudioFormat
from streaming.client.audio_ring import AudioRing
from streaming.client.send_pace import SendPace
from streaming.protocol import ClientMessage, Limits, Marker, encode

_FLOW_PREFIX = "flow-"
_MIN_FRAME_MS, _MAX_FRAME_MS = 20, 100
# A session that is begun anew hears so much again, as much as the server looks back.
_REWIND_S = 3


@dataclass(frozen=True, slots=True)
class _Placed:
    """A message to be sent when all audio before `position` has been; `key` names what answers it."""

    number: int
    position: int
    key: str
    text: str


class Outgoing:
    """The stream as it goes out. Call `restart` when a connection is there, then `next` until it gives nothing.

    Args:
        audio_format: of the stream.
        ahead_s: audio that may be under way.
        ring_s: audio that may wait for the server.
    """

    def __init__(self, audio_format: AudioFormat, ahead_s: float, ring_s: float) -> None:
        self.worked = 0
        self._rate = audio_format.sample_rate
        self._bytes_per_frame = audio_format.bytes_per_frame
        self._ahead = round(ahead_s * self._rate)
        self._capacity = round(ring_s * self._rate)
        self._ring = AudioRing(self._bytes_per_frame)
        self._sent = self._marked = 0
        self._messages: deque[_Placed] = deque()
        self._unsent = 0
        self._numbered = self._last_number = 0
        self._pace = SendPace()
        self._longest = self._ms(_MAX_FRAME_MS)
        self.pause_s: float | None = None

    @property
    def has_room(self) -> bool:
        """Whether audio may be added: less than `ring_s` waits."""
        return self._ring.end - self.worked < self._capacity

    def add_audio(self, pcm: bytes) -> None:
        """Audio, cut anywhere."""
        self._ring.append(pcm)

    def add(self, message: ClientMessage, key: str = "") -> None:
        """A message, to be sent after the audio so far."""
        self._numbered += 1
        self._messages.append(_Placed(self._numbered, self._ring.end, key, encode(message)))

    def settle(self, key: str) -> bool:
        """The oldest message of that key was answered and is not sent again; whether there was one."""
        for index, placed in enumerate(self._messages):
            if placed.key == key:
                self._forget_message(index)
                return True
        return False

    def is_flow(self, marker_id: str) -> bool:
        """Take note of a marker that the server sends back; whether it is one of our own."""
        if not marker_id.startswith(_FLOW_PREFIX):
            return False
        position, taken = (int(number) for number in marker_id.removeprefix(_FLOW_PREFIX).split("-"))
        self.worked = max(self.worked, position)
        while self._messages and self._messages[0].number <= taken:
            self._forget_message(0)
        self._ring.forget(self.rewound)
        return True

    @property
    def rewound(self) -> int:
        """Where a session begins that takes the place of one that is gone: a whole second, so that no clock rounds."""
        return max(0, (self.worked - _REWIND_S * self._rate) // self._rate * self._rate)

    def can_go_on_from(self, position: int) -> bool:
        """Whether the audio from there on is still here."""
        return self._ring.start <= position <= self._ring.end

    def restart(self, position: int, limits: Limits | None, *, is_resumed: bool) -> None:
        """A connection is there: send again from `position` on, and each message that may not have come through."""
        limits = limits or Limits()
        if not is_resumed:
            self._pace = SendPace(limits.max_realtime_factor, limits.max_burst_s)
        self._longest = min(self._ms(_MAX_FRAME_MS), max(1, limits.max_frame_bytes // self._bytes_per_frame))
        self._sent = position
        # Its marker may have been lost, so that one is due at once.
        self._marked = position - self._rate if position > self.worked else position
        self._unsent = self._last_number = 0

    def put_first(self, message: ClientMessage, key: str) -> None:
        """A message that goes before all others when `restart` is called, in place of one of the same key."""
        self.settle(key)
        self._messages.appendleft(_Placed(0, 0, key, encode(message)))

    def next(self, now_s: float) -> bytes | str | None:
        """The next frame, bytes of audio or the text of a message; None where there is none, or none may go.

        `pause_s` is then the time after which one may go, None where it depends on others.
        """
        self.pause_s = None
        message = self._messages[self._unsent] if self._unsent < len(self._messages) else None
        if message is not None and message.position <= self._sent:
            self._unsent += 1
            self._last_number = message.number
            return message.text
        if self._sent - self._marked >= self._rate:
            self._marked = self._sent
            return encode(Marker(id=f"{_FLOW_PREFIX}{self._sent}-{self._last_number}"))
        return self._next_audio(None if message is None else message.position, now_s)

    def _next_audio(self, until: int | None, now_s: float) -> bytes | None:
        there = (self._ring.end if until is None else until) - self._sent
        # What is followed by a message goes whole; otherwise crumbs wait for more.
        if there < (self._ms(_MIN_FRAME_MS) if until is None else 1) or self._sent - self.worked >= self._ahead:
            return None
        frames = min(there, self._longest)
        pause_s = self._pace.wait_s(frames / self._rate, now_s)
        if pause_s:
            self.pause_s = pause_s
            return None
        chunk = self._ring.read(self._sent, frames)
        self._sent += frames
        return chunk

    def _forget_message(self, index: int) -> None:
        del self._messages[index]
        self._unsent -= index < self._unsent

    def _ms(self, milliseconds: int) -> int:
        return self._rate * milliseconds // 1000
