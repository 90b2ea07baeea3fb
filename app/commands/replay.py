"""`termcue replay`: a recorded session once more, and whether it gives the same hints."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.notes import note
from app.options import NamedPath, data_dir_option, json_option, model_option, provider_option

if TYPE_CHECKING:
    from streaming.encoding.providers import Provider

EPILOG = """\b
Examples:
  termcue serve --glossary talks --record sessions
  termcue replay sessions
  termcue replay sessions/20261014T091203Z-s_8f2c --json
  termcue replay sessions --model other-model --glossary terms.csv
"""


@click.command(epilog=EPILOG)
@click.argument("recordings", metavar="DIR", type=NamedPath())
@click.option(
    "--glossary",
    multiple=True,
    metavar="FILE",
    help="Glossary file to replay with, may be repeated: it stands for the recorded glossary of its name, a single one "
    "for the only one. Published versions are found by themselves, and files that were served while their index is "
    "kept.",
)
@json_option
@model_option
@provider_option
@data_dir_option
def replay(
    recordings: Path,
    glossary: tuple[str, ...],
    as_json: bool,
    model: Path | None,
    provider: "Provider",
    data_dir: Path | None,
) -> None:
    """Hear recorded sessions again and compare the hints.

    DIR is the folder of one session, or that of `serve --record` with many. What was otherwise, such as the model or
    the version of the glossary, is told; the exit code is 1 where hints differ.
    """
    from app.loaded_model import load_folder, load_model
    from app.places import Places
    from app.recorded_versions import RecordedVersions, files_by_id, is_same_version
    from app.replay_lines import print_replay
    from app.replaying import replay as replay_session
    from streaming.errors import TermCueError
    from streaming.sessions.recorded_session import RecordedSession, session_folders

    folders = session_folders(recordings)
    loaded = load_model(load_folder(model), provider)
    places, files = Places.of(data_dir), [Path(name) for name in glossary]
    has_failed = False
    for folder in folders:
        try:
            recording = RecordedSession.read(folder)
            heard_by = replace(loaded, hop_ms=recording.header.hop_ms)
            versions = RecordedVersions(heard_by, places, provider, files_by_id(files, recording))
            done = replay_session(recording, loaded.folder.encoder_id, versions.load, is_same_version)
        except TermCueError as error:
            if len(folders) == 1:
                raise
            note(f"error: {error}")
            has_failed = True
            continue
        if not recording.is_whole:
            note(f"{folder} was not recorded to its end")
        print_replay(recording.header, done, is_json=as_json)
        has_failed = has_failed or bool(done.differences)
    if has_failed:
        raise click.exceptions.Exit(1)
