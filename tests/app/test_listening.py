"""Source -> session -> sink, with fakes that hint tones."""

import io
import json
from collections.abc import Iterator

import pytest

from app.listening import listen_to
from app.render import JsonLines
from streaming.audio import AudioFormat
from streaming.decision_config import DecisionConfig
from streaming.errors import AudioError
from streaming.protocol import Limits
from streaming.session import Session, SessionSettings
from streaming.sources import RealTimeSource
from streaming.testing import TONES, ListSource, synthetic_pcm, tone_glossary

FORMAT = AudioFormat()
DECISION = DecisionConfig(threshold=0.5)
SPEECH = synthetic_pcm([(0, 300), (TONES[0], 400), (0, 900), (TONES[1], 400), (0, 600)])


def _session(vad_events: bool = False, abstentions: bool = False) -> Session:
    settings = SessionSettings(
        glossary="tones",
        format=FORMAT,
        profile="booth",
        decision=DECISION,
        source_lang="en",
        target_lang="de",
        vad_events=vad_events,
        abstain_events=abstentions,
    )
    served = tone_glossary()
    return Session("local", settings, served, served.open(settings), Limits())


def _chunks(size: int) -> list[bytes]:
    return [SPEECH[start : start + size] for start in range(0, len(SPEECH), size)]


def _lines(chunk_bytes: int, session: Session | None = None, is_realtime: bool = False) -> list[str]:
    source = ListSource(FORMAT, _chunks(chunk_bytes))
    written = io.StringIO()
    heard = RealTimeSource(source, clock=lambda: 0.0, sleep=lambda _: None) if is_realtime else source
    listen_to(heard, session or _session(), JsonLines(written))
    return written.getvalue().splitlines()


def test_stream_is_told_from_begin_to_metadata() -> None:
    """Begin is first, Metadata last, and between them are the hints of what was heard."""
    messages = [json.loads(line) for line in _lines(3200)]
    assert [message["type"] for message in messages] == ["Begin", "TermHint", "TermHint", "Metadata"]
    assert [message["translation"] for message in messages[1:3]] == [f"Ton von {tone} Hertz" for tone in TONES[:2]]
    assert messages[-1]["hints"] == 2
    assert messages[-1]["duration"] == pytest.approx(len(SPEECH) / 32_000)


def test_other_events_come_only_when_asked_for() -> None:
    """SpeechStarted, SpeechEnded and Abstain are shown on request, the hints stay the same."""
    kinds = [json.loads(line)["type"] for line in _lines(3200, _session(vad_events=True, abstentions=True))]
    assert set(kinds) == {"Begin", "SpeechStarted", "SpeechEnded", "TermHint", "Abstain", "Metadata"}
    assert kinds.count("TermHint") == 2


@pytest.mark.parametrize("chunk_bytes", [1, 77, 640, 10**6])
def test_output_does_not_depend_on_how_audio_arrives(chunk_bytes: int) -> None:
    """Any chunk length, as fast as it goes or at the speed of speech: the same bytes are printed."""
    expected = _lines(3200)
    assert _lines(chunk_bytes) == expected
    assert _lines(chunk_bytes, is_realtime=True) == expected


def test_source_that_breaks_off_leaves_whole_lines() -> None:
    """What was printed before an error is whole lines; the error goes on to the edge."""

    class Broken(ListSource):
        def chunks(self) -> Iterator[bytes]:
            yield SPEECH[:32_000]
            raise AudioError("cut off")

    written = io.StringIO()
    with pytest.raises(AudioError, match="cut off"):
        listen_to(Broken(FORMAT, []), _session(), JsonLines(written))
    assert written.getvalue().endswith("\n")
    assert [json.loads(line)["type"] for line in written.getvalue().splitlines()] == ["Begin", "TermHint"]
