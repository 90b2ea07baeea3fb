"""A replay as it is printed: lines for a human, or one line of JSON."""

import json
from dataclasses import asdict

import click

from app.notes import counted
from app.replay_comparison import HintDifference, as_json
from app.replaying import Replay
from streaming.sessions.recorded_files import RecordingHeader
from streaming.wire.messages import HintRetracted, TermHint, TermMap
from streaming.wire.typed_json import JsonValue


def print_replay(header: RecordingHeader, replay: Replay, *, is_json: bool) -> None:
    """Print how a replay went, on one line as JSON or for a human."""
    if is_json:
        written: dict[str, JsonValue] = {
            "type": "Replay",
            "session_id": header.session_id,
            "started": header.started,
            "duration": round(replay.duration_s, 3),
            "recorded_hints": replay.recorded_hints,
            "replayed_hints": replay.replayed_hints,
            "same": not replay.differences,
            "circumstances": [asdict(each) for each in replay.circumstances],
            "differences": [as_json(each) for each in replay.differences],
        }
        click.echo(json.dumps(written, ensure_ascii=False))
        return
    for each in replay.circumstances:
        click.echo(f"otherwise {each.what}: recorded with {each.recorded}, replayed with {each.replayed}")
    for difference in replay.differences:
        click.echo(f"{difference.kind:<9} {_shown(difference)}")
    verdict = "other hints" if replay.differences else "the same hints"
    click.echo(
        f"{header.session_id}: {verdict}; {replay.duration_s:.1f} s of {header.started}, "
        f"{counted(replay.recorded_hints, 'hint')} recorded, {replay.replayed_hints} replayed"
    )


def _shown(difference: HintDifference) -> str:
    hint = difference.hint
    match hint:
        case TermHint():
            text = f"{hint.start:9.2f} s  {hint.term}"
        case TermMap():
            text = f"{hint.start:9.2f} s  {', '.join(term for term, *_ in hint.terms)}"
        case HintRetracted():
            text = f"{hint.hint_id} withdrawn: {hint.reason}"
    changes = [
        f"{name} {getattr(difference.recorded, name)} → {getattr(difference.replayed, name)}"
        for name in difference.fields
        if name != "alternatives"
    ]
    if "alternatives" in difference.fields:
        changes.append("other alternatives")
    return f"{text}{': ' if changes else ''}{', '.join(changes)}"
