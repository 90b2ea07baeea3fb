"""The browser client in Node.js: its pure parts, and its streams over connections that break."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from streaming.protocol import CloseCode
from streaming.session import ServedGlossary
from streaming.testing import synthetic_pcm
from tests.demo.browsers import node
from tests.streaming.client.faulty_server import Fault, server_thread

HERE = Path(__file__).parent
Served = Mapping[str, ServedGlossary]
_ORDER = (900, 1700, 500, 1300, 900, 500, 1700, 1300, 900)
PCM = synthetic_pcm([(0, 400), *((part, ms) for tone in _ORDER for part, ms in ((tone, 600), (0, 700)))])
SPOKEN = [(f"{tone} hertz tone", round(0.4 + 1.3 * index, 1)) for index, tone in enumerate(_ORDER)]


def _node(*arguments: str, stdin: bytes = b"") -> str:
    # Web sockets are behind a flag in Node.js 20 and without one from 22 on, which takes the flag too.
    command = [node(), "--no-warnings", "--experimental-websocket", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


def _streamed(served: Served, faults: Sequence[Fault], options: Mapping[str, object] | None = None) -> list[Any]:
    """The events of a stream of tones to a server that fails in this way."""
    with server_thread(served, faults) as url:
        printed = _node(str(HERE / "stream_stdin.mjs"), url, json.dumps(options or {}), stdin=PCM)
    return [json.loads(line) for line in printed.splitlines()]


def _of(events: Sequence[Any], kind: str) -> list[Any]:
    return [event for event in events if event["type"] == kind]


def _spoken(events: Sequence[Any]) -> list[tuple[str, float]]:
    return [(event["term"], round(event["start"], 1)) for event in _of(events, "TermHint")]


def test_the_parts_that_need_no_browser() -> None:
    """Frames, ring, order, continuity, addresses and typed errors, as pure.test.mjs states them."""
    assert "# fail 0" in _node("--test", "--test-reporter=tap", str(HERE / "pure.test.mjs"))


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [Fault(after_s=3.0, unsent_s=1.5), Fault(after_s=0.5)],
        [Fault(after_s=4.3, forget=True, unsent_s=0.5)],
        [Fault(after_s=5.0, code=CloseCode.RESTART, retry_after_s=0.05), Fault(after_s=2.5, forget=True)],
        [Fault(after_s=6.0, code=CloseCode.INTERNAL, error="internal"), Fault(after_s=1.0)],
    ],
)
def test_a_page_hears_one_stream_whatever_breaks(served: Served, faults: Sequence[Fault]) -> None:
    """Complaint 6 in the browser: cuts, restarts and forgotten sessions lose, double and move no hint."""
    events = _streamed(served, faults)
    assert _spoken(events) == SPOKEN
    assert len({event["hint_id"] for event in _of(events, "TermHint")}) == len(SPOKEN)
    (metadata,) = _of(events, "Metadata")
    assert (metadata["duration"], metadata["hints"]) == (len(PCM) / 32_000, len(SPOKEN))
    states = [event["state"] for event in _of(events, "state")]
    assert (states[0], states[-1]) == ("connecting", "closed")
    assert states.count("open") == 1 + len(faults)
    assert ("waiting" in states) == bool(faults)
    assert not any("flow-" in event["id"] for event in _of(events, "Marker"))


def test_audio_that_comes_while_there_is_no_connection_is_heard(served: Served) -> None:
    """A microphone goes on through cuts and restarts; what it gave meanwhile is sent afterwards."""
    faults = [Fault(after_s=2.0), Fault(after_s=2.0, forget=True)]
    assert _spoken(_streamed(served, faults, {"paceMs": 8})) == SPOKEN


def test_settings_hold_over_sessions(served: Served) -> None:
    """A threshold of the options, and what was configured, are asked for again of a session that begins anew."""
    events = _streamed(served, [Fault(after_s=5.0, forget=True)], {"threshold": 0.999})
    assert _spoken(events) == []
    events = _streamed(served, [Fault(after_s=5.0, forget=True)], {"configure": {"mute_entries": ["tones:900"]}})
    assert _of(events, "effective")[0]["effective"]["mute_entries"] == ["tones:900"]
    assert _spoken(events) == [spoken for spoken in SPOKEN if spoken[0] != "900 hertz tone"]
    assert _of(_streamed(served, [], {"configure": {"profile": "loud"}}), "refused")[0]["code"] == "invalid_config"


def test_entries_are_muted_for_the_whole_stream(served: Served) -> None:
    """By an option from the start, or one by one; sessions that take the place of the first hold to it."""
    forgets = [Fault(after_s=5.0, forget=True)]
    unmuted = [spoken for spoken in SPOKEN if spoken[0] not in ("900 hertz tone", "1300 hertz tone")]
    muted = ["tones:900", "tones:1300"]
    assert _spoken(_streamed(served, forgets, {"muteEntries": muted})) == unmuted
    events = _streamed(served, forgets, {"muteEntries": ["tones:900"], "mute": ["tones:500", "tones:1300"]})
    assert sorted(_of(events, "effective")[-1]["effective"]["mute_entries"]) == sorted(muted)
    assert _spoken(events) == unmuted


@pytest.mark.parametrize(
    ("faults", "options", "code"),
    [
        ([Fault(after_s=1.0, code=CloseCode.AUTH, error="wrong_key")], {}, "wrong_key"),
        ([Fault(after_s=1.0, code=CloseCode.SUPERSEDED, error="superseded")], {}, "superseded"),
        ([Fault(after_s=1.0)] + [Fault(after_s=0)] * 20, {"giveUpS": 0.5}, "connection_lost"),
        ([Fault(after_s=0)], {}, "connection_lost"),
    ],
)
def test_a_stream_that_cannot_go_on_fails_once(
    served: Served, faults: Sequence[Fault], options: Mapping[str, object], code: str
) -> None:
    """The failure is typed, then the stream is closed; nothing is tried for ever."""
    events = _streamed(served, faults, options)
    assert [event["code"] for event in _of(events, "failed")] == [code]
    assert events[-1]["state"] == "closed"
