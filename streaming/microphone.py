"""The microphone: audio as `streaming.sources` gives it, out of PortAudio's callback thread.

sounddevice is imported when a microphone is asked for, since it is an extra and needs a system library.
"""

import queue
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from streaming.audio import AudioFormat
from streaming.errors import AudioError
from streaming.sources import Notify, ignore

BLOCKS_PER_SECOND = 25
MAX_SAMPLE_RATE = 192_000
# Monitors of PulseAudio and PipeWire; WASAPI's loopback and the "Stereo Mix" of Windows; the virtual cables of macOS
# and Windows.
_PLAYS_BACK = re.compile(
    r"\bmonitor of\b|\.monitor\b|loopback|stereo mix|blackhole|soundflower|vb-?(audio|cable)", re.I
)


@dataclass(frozen=True, slots=True)
class InputDevice:
    """One microphone as PortAudio lists it; `sample_rate` is its own rate in Hz."""

    index: int
    name: str
    channels: int
    sample_rate: int
    is_default: bool

    @property
    def plays_back(self) -> bool:
        """Whether its name says that it records what the machine itself plays, such as a meeting, and no room."""
        return _PLAYS_BACK.search(self.name) is not None


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError as error:
        raise AudioError("the microphone needs the package sounddevice; install it: pip install sounddevice") from error
    except OSError as error:
        raise AudioError(
            "the microphone needs the PortAudio library; install it: "
            "sudo apt-get install libportaudio2 (Debian, Ubuntu) or brew install portaudio (macOS)"
        ) from error
    module: ModuleType = sounddevice
    return module


def input_devices() -> list[InputDevice]:
    """Every device that records. Raises AudioError without sounddevice or PortAudio."""
    sounddevice = _sounddevice()
    try:
        default = int(sounddevice.default.device[0])
        return [
            InputDevice(
                index=device["index"],
                name=device["name"],
                channels=device["max_input_channels"],
                sample_rate=int(device["default_samplerate"]),
                is_default=device["index"] == default,
            )
            for device in sounddevice.query_devices()
            if device["max_input_channels"] > 0
        ]
    except sounddevice.PortAudioError as error:
        raise AudioError(f"PortAudio cannot list the microphones ({error}); check the sound system.") from error


class MicrophoneSource:
    """A microphone at its own rate, mono.

    The callback runs in PortAudio's thread: it only copies into a bounded queue. What finds no place there is
    counted, told, and replaced by silence, so that the audio clock never slips.

    Raises:
        AudioError: no sounddevice, no PortAudio, no such device, or the device cannot be opened.
    """

    def __init__(self, device: str | None = None, notify: Notify = ignore, queue_blocks: int = 256) -> None:
        self._sounddevice = _sounddevice()
        self._device = _find_device(device)
        self.format = AudioFormat(sample_rate=min(self._device.sample_rate, MAX_SAMPLE_RATE), channels=1)
        self.dropped_blocks = 0
        self._notify = notify
        self._queue: queue.Queue[tuple[int, bytes]] = queue.Queue(maxsize=queue_blocks)
        self._missing_bytes = 0

    def chunks(self) -> Iterator[bytes]:
        """40 ms of audio a chunk, until the caller stops. Raises AudioError when the device goes away."""
        try:
            stream = self._sounddevice.RawInputStream(
                samplerate=self.format.sample_rate,
                blocksize=self.format.sample_rate // BLOCKS_PER_SECOND,
                device=self._device.index,
                channels=1,
                dtype="int16",
                callback=self._take,
            )
        except self._sounddevice.PortAudioError as error:
            raise AudioError(
                f"microphone {self._device.name!r} cannot be opened ({error}); "
                f"choose another: termcue listen mic --list-devices"
            ) from error
        told = 0
        with stream:
            while True:
                missing, block = self._next_block(stream)
                yield from _silence(missing)
                yield block
                if self.dropped_blocks > told:
                    told = self.dropped_blocks
                    self._notify(
                        f"{told} blocks of 40 ms were lost so far: this machine does not keep up with the microphone."
                    )

    def _next_block(self, stream: Any) -> tuple[int, bytes]:  # noqa: ANN401
        while True:
            with suppress(queue.Empty):
                return self._queue.get(timeout=1.0)
            if not stream.active:
                raise AudioError(f"microphone {self._device.name!r} stopped; check its cable and start again.")

    def _take(self, block: Any, frames: int, when: object, status: object) -> None:  # noqa: ANN401
        """Copy one block; runs in PortAudio's thread and must never wait."""
        copied = bytes(block)
        try:
            self._queue.put_nowait((self._missing_bytes, copied))
        except queue.Full:
            self._missing_bytes += len(copied)
            self.dropped_blocks += 1
        else:
            self._missing_bytes = 0


def _find_device(name: str | None) -> InputDevice:
    """The device of that number, or the one whose name holds `name`, or the default one."""
    devices = input_devices()
    if not devices:
        raise AudioError("no microphone is connected; plug one in, then look: termcue listen mic --list-devices")
    if name is None:
        return next((device for device in devices if device.is_default), devices[0])
    matching = [d for d in devices if name == str(d.index) or name.lower() in d.name.lower()]
    if not matching:
        raise AudioError(f"no microphone is called {name!r}; list them: termcue listen mic --list-devices")
    exact = [d for d in matching if name in (str(d.index), d.name)]
    return (exact or matching)[0]


def _silence(n_bytes: int) -> Iterator[bytes]:
    """`n_bytes` of zeros in pieces of at most 64 KiB."""
    while n_bytes > 0:
        piece = min(n_bytes, 1 << 16)
        yield bytes(piece)
        n_bytes -= piece
