"""The microphone against a PortAudio that is a script."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

import pytest

from streaming.errors import AudioError
from streaming.microphone import InputDevice, MicrophoneSource, input_devices

DEVICES = [
    {"index": 0, "name": "Speaker", "max_input_channels": 0, "default_samplerate": 48_000.0},
    {"index": 1, "name": "Built-in Microphone", "max_input_channels": 2, "default_samplerate": 44_100.0},
    {"index": 2, "name": "Booth USB", "max_input_channels": 1, "default_samplerate": 48_000.0},
]


class PortAudioError(Exception):
    """Stands for sounddevice's own."""


def _install(
    monkeypatch: pytest.MonkeyPatch, stream: object = None, devices: list[dict[str, Any]] | None = None
) -> None:
    fake = SimpleNamespace(
        PortAudioError=PortAudioError,
        default=SimpleNamespace(device=[1, 0]),
        query_devices=lambda: DEVICES if devices is None else devices,
        RawInputStream=stream,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)


def _stream_of(blocks: list[bytes]) -> Callable[..., object]:
    """A stream that calls back with all blocks before it is read, then ends."""

    class Stream:
        active = False

        def __init__(self, *, callback: Callable[..., None], **_: object) -> None:
            self._callback = callback

        def __enter__(self) -> Self:
            for block in blocks:
                self._callback(block, len(block) // 2, None, None)
            return self

        def __exit__(self, *_: object) -> None:
            return None

    return Stream


def test_only_devices_that_record_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loudspeaker is not a microphone; the default one is marked."""
    _install(monkeypatch)
    assert [(d.name, d.is_default) for d in input_devices()] == [("Built-in Microphone", True), ("Booth USB", False)]


@pytest.mark.parametrize(
    ("name", "plays_back"),
    [
        ("Monitor of Built-in Audio Analog Stereo", True),
        ("alsa_output.pci-0000_00_1f.3.analog-stereo.monitor", True),
        ("Speakers (Realtek Audio) [Loopback]", True),
        ("Stereo Mix (Realtek Audio)", True),
        ("BlackHole 2ch", True),
        ("CABLE Output (VB-Audio Virtual Cable)", True),
        ("Built-in Microphone", False),
        ("Studio Monitor USB", False),
    ],
)
def test_devices_that_hear_the_machine_are_known_by_their_names(name: str, plays_back: bool) -> None:
    """The floor often comes out of a meeting, and not out of a room."""
    assert InputDevice(1, name, 2, 48_000, False).plays_back is plays_back


@pytest.mark.parametrize(("asked", "rate"), [(None, 44_100), ("usb", 48_000), ("2", 48_000), ("Built-in", 44_100)])
def test_device_is_found_by_number_or_part_of_its_name(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, rate: int
) -> None:
    """The microphone records at its own rate, in mono."""
    _install(monkeypatch)
    source = MicrophoneSource(asked)
    assert (source.format.sample_rate, source.format.channels) == (rate, 1)


def test_unknown_device_names_the_command_that_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no device has is an error with the value and the cure."""
    _install(monkeypatch)
    with pytest.raises(AudioError, match=r"'lapel'.*--list-devices"):
        MicrophoneSource("lapel")


def test_no_microphone_at_all_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a microphone says so."""
    _install(monkeypatch, devices=DEVICES[:1])
    with pytest.raises(AudioError, match="no microphone is connected"):
        MicrophoneSource()


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sounddevice the sentence says what to install."""
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(AudioError, match="pip install sounddevice"):
        input_devices()


def test_missing_portaudio_names_the_system_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounddevice raises OSError at import where the library is missing; the sentence names its package."""

    class Finder:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(AudioError, match="libportaudio2"):
        input_devices()


def test_blocks_that_found_no_place_become_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue loses blocks, tells how many, and keeps the audio clock by silence of the same length."""
    _install(monkeypatch, _stream_of([b"\1\1", b"\2\2", b"\3\3", b"\4\4"]))
    notes: list[str] = []
    source = MicrophoneSource(notify=notes.append, queue_blocks=2)
    chunks = source.chunks()
    assert [next(chunks), next(chunks)] == [b"\1\1", b"\2\2"]
    source._take(b"\5\5", 1, None, None)
    assert [next(chunks), next(chunks)] == [bytes(4), b"\5\5"]
    assert source.dropped_blocks == 2
    assert notes == ["2 blocks of 40 ms were lost so far: this machine does not keep up with the microphone."]


def test_device_that_goes_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is no longer active ends with a sentence instead of waiting for ever."""
    _install(monkeypatch, _stream_of([b"\1\1"]))
    chunks = MicrophoneSource().chunks()
    assert next(chunks) == b"\1\1"
    with pytest.raises(AudioError, match="stopped"):
        next(chunks)


def test_device_that_cannot_be_opened_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy device is an error with its name."""

    def refuse(**_: object) -> object:
        raise PortAudioError("Device unavailable")

    _install(monkeypatch, refuse)
    with pytest.raises(AudioError, match=r"Built-in Microphone.*Device unavailable"):
        next(MicrophoneSource().chunks())
