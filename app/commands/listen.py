"""`termcue listen`: hints from a file, standard input or the microphone, computed in this process."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.inputs import MICROPHONE, SAMPLE, STDIN, open_source, print_devices
from app.notes import note
from app.options import (
    LayeredOption,
    data_dir_option,
    event_options,
    hop_option,
    json_option,
    model_option,
    one_sensitivity,
    provider_option,
    sensitivity_options,
    source_options,
    target_lang_option,
)

if TYPE_CHECKING:
    from app.watched import Source
    from streaming.encoding.providers import Provider

EPILOG = """\b
Examples:
  termcue listen sample
  termcue listen talk.wav --glossary terms.csv
  termcue listen mic --glossary talks --target-lang de --profile mt
  ffmpeg -i URL -f s16le -ar 16000 -ac 1 - | termcue listen - --glossary terms.csv --json
"""
ADVICE = """listen needs to know what to hear and which terms to listen for. For example:

  termcue listen sample                          the bundled recordings and glossary
  termcue listen talk.wav --glossary terms.csv   your recording and a table of terms, one a row
  termcue listen mic --glossary terms.csv        your microphone"""


@click.command(epilog=EPILOG)
@click.argument("source", required=False)
@click.option(
    "--glossary",
    cls=LayeredOption,
    metavar="FILE|ID[,...]",
    help="Terms to listen for: a glossary file, or the id of a published one; of several (a.csv,talks) the first wins.",
)
@target_lang_option
@sensitivity_options
@click.option("--realtime", is_flag=True, help="Play a file at the speed of speech; the hints are the same.")
@source_options
@json_option
@event_options
@model_option
@provider_option
@hop_option
@data_dir_option
@click.pass_context
def listen(
    context: click.Context,
    source: str | None,
    glossary: str | None,
    target_lang: str | None,
    profile: str,
    false_hints_per_hour: float | None,
    threshold: float | None,
    realtime: bool,
    sample_rate: int,
    device: str | None,
    list_devices: bool,
    as_json: bool,
    abstentions: bool,
    vad_events: bool,
    model: Path | None,
    provider: "Provider",
    hop_ms: int,
    data_dir: Path | None,
) -> None:
    """Show the glossary terms spoken in SOURCE while it is heard.

    SOURCE is an audio file (any rate, mono or stereo), "-" for raw s16le mono on standard input, "mic" for
    the microphone, or "sample" for the bundled recordings, which bring their own glossary.

    Of live sound, a new version of the glossary, or its file saved again, is taken over at once.

    Ctrl-C ends the audio: the last hints and the sum still come. A second Ctrl-C stops at once.
    """
    if list_devices:
        print_devices(as_json)
        return
    if source is None or (glossary is None and source != SAMPLE):
        raise click.UsageError(ADVICE, context)
    from app.glossaries import as_one, note_untranslated, open_layers
    from app.interrupt import UntilInterrupt
    from app.listening import listen_to
    from app.loaded_model import calibration_warning, load_folder, load_model
    from app.places import Places
    from app.render import HintTable, JsonLines
    from app.watched import followed, sources_of
    from app.wiring import OpenGlossary, Sensitivity, Told, choose_target_lang, local_session, serve_glossary

    sensitivity = Sensitivity(profile, *one_sensitivity(context, false_hints_per_hour, threshold))
    audio = open_source(source, sample_rate, device, realtime, notify=note)
    folder = load_folder(model)
    if (warning := calibration_warning(folder)) is not None:
        note(warning)
    places, loaded = Places.of(data_dir), load_model(folder, provider, hop_ms)
    followable: dict[str, Source] = {}
    if glossary is not None and (realtime or source in (MICROPHONE, STDIN)):
        serve = partial(serve_glossary, loaded, sensitivities=[sensitivity])
        followable = dict(sources_of([glossary], serve, folder, places, provider)())
    stamps = {name: followed_source.stamp() for name, followed_source in followable.items()}
    layers = open_layers(glossary, folder, places, provider)
    opened = as_one(layers)
    lang = choose_target_lang(opened, target_lang)
    if target_lang is None and len(opened.target_langs) > 1:
        others = ", ".join(opened.target_langs[1:])
        note(f"translations are shown in {lang}; --target-lang takes also {others}")
    note_untranslated(layers, lang)
    told = Told(lang, vad_events=vad_events, abstentions=abstentions)
    heard = UntilInterrupt(audio)
    with ExitStack() as stack:
        catalogue = None
        if isinstance(opened, OpenGlossary) and opened.id in followable:
            catalogue = stack.enter_context(followed(opened, followable[opened.id], stamps[opened.id]))
        session = local_session(loaded, opened, sensitivity, told, audio.format, catalogue)
        listen_to(heard, session, JsonLines() if as_json else HintTable(note))
    # A microphone has no other end; any other source was not heard to its own.
    if heard.is_interrupted and source != MICROPHONE:
        raise click.Abort
