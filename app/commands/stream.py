"""`termcue stream`: the websocket client; its output is that of `termcue listen`."""

import asyncio
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING

import click

from app.inputs import MICROPHONE, open_source, print_devices
from app.notes import note
from app.options import (
    PROFILES,
    FiniteRange,
    LayeredOption,
    event_options,
    json_option,
    one_sensitivity,
    source_options,
)

if TYPE_CHECKING:
    from app.render import Sink
    from streaming.client import StreamOptions
    from streaming.sources import Source

EPILOG = """\b
Examples:
  termcue stream talk.wav --url ws://127.0.0.1:8765 --glossary talks
  termcue stream mic --url wss://hints.example.org/v1/hints --glossary talks --target-lang de --json
  termcue stream talk.wav --url ws://127.0.0.1:8765 --glossary talks --pace 4 --threshold 0.8 --interim
"""
ADVICE = """stream needs a source, a server and one of its glossaries. For example:

  termcue stream talk.wav --url ws://127.0.0.1:8765 --glossary talks"""
# The server speaks of headers and subprotocols, since other clients are not this command.
KEY_ERRORS = {
    "no_key": "wants an API key; give it: --api-key KEY, or set TERMCUE_API_KEY",
    "wrong_key": "does not know this API key; correct --api-key or TERMCUE_API_KEY, or ask the server's owner",
}


@click.command(epilog=EPILOG)
@click.argument("source", required=False)
@click.option("--url", metavar="URL", help="Server: ws://HOST:PORT or wss://HOST:PORT.")
@click.option(
    "--glossary",
    cls=LayeredOption,
    metavar="ID[,...]",
    help="A glossary that the server serves; of several (mine,talks) the first wins.",
)
@click.option(
    "--target-lang",
    metavar="LANG",
    help="Language of the translations, such as de. Without it, hints of a glossary in several languages come without "
    "translation, and the server's warning names the languages.",
)
@click.option(
    "--profile", type=click.Choice(PROFILES), help="booth: few false hints. mt: few misses. [default: the server's]"
)
@click.option("--api-key", metavar="KEY", help="Where the server wants one; better set as TERMCUE_API_KEY.")
@click.option(
    "--threshold",
    type=FiniteRange(0.0, 1.0),
    metavar="P",
    help="Least probability of a hint, not the profile's.",
)
@click.option(
    "--false-hints-per-hour",
    type=FiniteRange(min=0.0, min_open=True),
    metavar="N",
    help="Let about N false hints per hour of speech through, not as many as the profile.",
)
@click.option("--interim", is_flag=True, help="Show also hints that may still be withdrawn.")
@click.option("--realtime", is_flag=True, help="Send a file at the speed of speech; the hints are the same.")
@click.option(
    "--pace",
    type=FiniteRange(min=0.0, min_open=True),
    metavar="N",
    help="Send a file at most N times as fast as it is spoken. [default: as fast as the server works]",
)
@click.option(
    "--resume/--no-resume",
    default=True,
    help="Connect again where the connection breaks; nothing is lost or shown twice. [default: resume]",
)
@click.option(
    "--give-up",
    type=FiniteRange(min=0.0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to try to connect again.",
)
@source_options
@json_option
@event_options
@click.pass_context
def stream(
    context: click.Context,
    source: str | None,
    url: str | None,
    glossary: str | None,
    target_lang: str | None,
    profile: str | None,
    api_key: str | None,
    threshold: float | None,
    false_hints_per_hour: float | None,
    interim: bool,
    realtime: bool,
    pace: float | None,
    resume: bool,
    give_up: float,
    sample_rate: int,
    device: str | None,
    list_devices: bool,
    as_json: bool,
    abstentions: bool,
    vad_events: bool,
) -> None:
    """Send SOURCE to a TermCue server and show its hints.

    SOURCE is an audio file, "-" for raw s16le mono on standard input, "mic" for the microphone, or "sample".

    Ctrl-C ends the audio: the last hints and the sum still come. A second Ctrl-C stops at once.

    Ends with 0 after the last hint, 1 where the server refuses the stream or stays away, 2 for wrong usage.
    """
    if list_devices:
        print_devices(as_json)
        return
    if source is None or url is None or glossary is None:
        raise click.UsageError(ADVICE, context)
    if realtime and pace is not None:
        raise click.UsageError("--realtime is --pace 1: give one of the two", context)
    false_hints_per_hour, threshold = one_sensitivity(context, false_hints_per_hour, threshold)
    if not glossary.strip(" ,"):
        raise click.UsageError(f"--glossary {glossary!r} names no glossary: give one that the server serves", context)
    from app.render import HintTable, JsonLines
    from streaming.client import StreamOptions
    from streaming.client.address import hints_address
    from streaming.errors import WireError
    from streaming.sources import RealTimeSource

    try:
        hints_address(url, StreamOptions(glossary=glossary))
    except WireError as error:
        raise click.UsageError(f"--url: {error}", context) from error
    audio = open_source(source, sample_rate, device, realtime, notify=note, command="stream")
    if pace is not None and source != MICROPHONE:
        audio = RealTimeSource(audio, speed=pace)
    options = StreamOptions(
        glossary=",".join(name.strip() for name in glossary.split(",")),
        format=audio.format,
        api_key=api_key,
        profile=profile,
        threshold=threshold,
        false_hints_per_hour=false_hints_per_hour,
        interim_hints=interim,
        target_lang=target_lang,
        vad_events=vad_events,
        abstain_events=abstentions,
        resume=resume,
        give_up_s=give_up,
        notify=note,
    )
    is_interrupted = asyncio.run(_show_hints(url, audio, options, JsonLines() if as_json else HintTable(note)))
    # A microphone has no other end; any other source was not heard to its own.
    if is_interrupted and source != MICROPHONE:
        raise click.Abort


async def _show_hints(url: str, audio: "Source", options: "StreamOptions", sink: "Sink") -> bool:
    """Show all messages; whether Ctrl-C ended the audio."""
    from app.interrupt import on_first_interrupt
    from streaming.client import stream_hints
    from streaming.client.address import shown_address
    from streaming.errors import WireError
    from streaming.protocol import Error

    # Closed here whatever the sink raises: the event loop would close the generators in no order.
    interrupted = asyncio.Event()
    async with aclosing(stream_hints(url, audio.chunks(), options, interrupted)) as messages:
        with sink, ExitStack() as stack:
            has_begun = False
            async for message in messages:
                if not has_begun:
                    # Before, there is nothing that could still come.
                    stack.enter_context(on_first_interrupt(interrupted.set))
                    has_begun = True
                sink.show(message)
                if isinstance(message, Error) and message.code in KEY_ERRORS:
                    raise WireError(f"{shown_address(url)} {KEY_ERRORS[message.code]}")
    return interrupted.is_set()
