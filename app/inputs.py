"""The SOURCE of `listen` and `stream`: what its name stands for."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streaming.sources import Notify, Source

SAMPLE = "sample"
STDIN = "-"
MICROPHONE = "mic"

_SILENT_MICROPHONE = "is it muted, kept from programs by the system, or is another one wanted (--device)?"
_SILENT_PIPE = "does the command before the pipe hear anything, and write 16-bit samples?"
_SILENT_FILE = "was it recorded from a muted microphone, or is its sound in another track?"
_SPEECHLESS_PIPE = (
    "if somebody speaks, are the samples 16-bit little-endian, mono, and at {sample_rate} Hz (--sample-rate)?"
)
_SPEECHLESS_FILE = "if somebody speaks, is the sound too soft, or the speech in another track?"


def open_source(
    name: str,
    sample_rate: int,
    device: str | None,
    is_realtime: bool,
    notify: "Notify",
    *,
    command: str = "listen",
) -> "Source":
    """Open the source called `name`.

    Args:
        name: "sample", "-", "mic" or an audio file (a file of such a name is written ./mic).
        sample_rate: of raw audio on standard input, in Hz.
        device: which microphone.
        is_realtime: hold the audio back to the speed of speech; a microphone is as fast as that anyway.
        notify: is told what is unusual but usable, and where nothing can be heard.
        command: which one it is opened for, as its errors call it.

    Raises:
        AudioError: it cannot be streamed.
    """
    from app.silence import Cures, SilenceNoticed
    from streaming.sources import FileSource, RealTimeSource, SequenceSource, StdinSource

    if name == MICROPHONE:
        from streaming.microphone import MicrophoneSource

        return SilenceNoticed(MicrophoneSource(device, notify), notify, Cures(_SILENT_MICROPHONE), is_live=True)
    source: Source
    pipe_to = f"termcue {command} -"
    if name == STDIN:
        source = StdinSource(sample_rate, pipe_to=pipe_to)
    elif name == SAMPLE:
        from app.samples import recordings

        source = SequenceSource([FileSource(recording.path) for recording in recordings()])
    else:
        source = FileSource(Path(name), notify=notify, pipe_to=pipe_to)
    of_pipe = Cures(_SILENT_PIPE, _SPEECHLESS_PIPE.format(sample_rate=sample_rate))
    cures = of_pipe if name == STDIN else Cures(_SILENT_FILE, _SPEECHLESS_FILE)
    noticed = SilenceNoticed(source, notify, cures, is_live=name == STDIN)
    return RealTimeSource(noticed) if is_realtime else noticed


def print_devices(as_json: bool) -> None:
    """Print the microphones, the default one marked, and those that hear what the machine plays."""
    import json

    import click

    from streaming.microphone import input_devices

    devices = input_devices()
    for device in devices:
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "type": "Device",
                        "index": device.index,
                        "name": device.name,
                        "channels": device.channels,
                        "sample_rate": device.sample_rate,
                        "default": device.is_default,
                        "system_sound": device.plays_back,
                    },
                    ensure_ascii=False,
                )
            )
        else:
            mark = "*" if device.is_default else " "
            kind = "system sound, " if device.plays_back else ""
            size = f"{device.channels} channels, {device.sample_rate} Hz"
            click.echo(f"{mark} {device.index:>3}  {device.name}  ({kind}{size})")
    if not devices:
        click.echo("termcue: no microphone is connected.", err=True)
