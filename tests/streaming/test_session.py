from collections.abc import Mapping
from dataclasses import replace

import pytest

from streaming.decision import DecisionConfig
from streaming.errors import SettingError
from streaming.events import Abstention, Event, Hint, SpeechEnded, SpeechStarted
from streaming.index.entry_register import EntryRegister
from streaming.pacing import Pace
from streaming.pipeline_ports import Scorer, SearchedGlossary
from streaming.protocol import (
    Abstain,
    Begin,
    CloseCode,
    Configured,
    Error,
    Limits,
    MarkerReached,
    Metadata,
    PercentilesPart,
    SpeechEndedMessage,
    SpeechStartedMessage,
    TermHint,
    Warning,
)
from streaming.session import Close, Output, ServedGlossary, Session, SessionSettings, open_session
from streaming.sessions.outbox import Outbox, OutboxConfig
from streaming.testing import FakeScorer, synthetic_pcm, tone_index

LIMITS = Limits(max_frame_bytes=1000, idle_timeout_s=30)


class ScriptedPipeline:
    """Says the first of its events at every chunk, the rest at the end, and notes what it is told."""

    def __init__(self, settings: SessionSettings) -> None:
        self.settings = settings
        self.configured: list[DecisionConfig] = []
        self.flushed = 0
        self.received_samples = 0
        self.dropped_windows = 0
        self.tells_interim = False
        self.stage_seconds = {"encode": 0.0, "score": 0.0}
        self.paces: list[Pace] = []
        self._hints = 0

    def feed(self, chunk: bytes) -> list[Event]:
        self.received_samples += len(chunk) // 2
        self.stage_seconds = {"encode": self.stage_seconds["encode"] + 0.041, "score": 0.0}
        return [SpeechStarted(0), Abstention(0, 5120, "below_threshold", 0.25), self._hint()]

    def flush(self) -> list[Event]:
        self.flushed += 1
        return [self._hint()]

    def finish(self) -> list[Event]:
        return [self._hint(), SpeechEnded(self.received_samples)]

    def pace(self, pace: Pace) -> None:
        self.paces.append(pace)

    def configure(self, decision: DecisionConfig) -> None:
        self.configured.append(decision)

    def replace_index(self, index: SearchedGlossary, scorer: Scorer) -> int:
        raise AssertionError("nobody replaced the glossary")

    def _hint(self) -> Hint:
        self._hints += 1
        return Hint(f"h{self._hints}", "g:1", "ion", {"de": "Ion"}, 0, 8_000, 16_000, 0.9, None, 1, self._hints)


class Desk:
    """Opens sessions over one glossary and keeps the pipelines that were made."""

    def __init__(self) -> None:
        self.pipelines: list[ScriptedPipeline] = []
        self.glossary = ServedGlossary(
            version="v7",
            terms=238,
            profiles={
                "booth": DecisionConfig(threshold=0.8, refractory_ms=500),
                "mt": DecisionConfig(threshold=0.4, refractory_ms=300, max_hints_per_hop=9),
            },
            open=self._open,
            take_over=lambda pipeline: pipeline.replace_index(tone_index(), FakeScorer()),
            register=EntryRegister(tone_index().entries),
        )

    def _open(self, settings: SessionSettings) -> ScriptedPipeline:
        self.pipelines.append(ScriptedPipeline(settings))
        return self.pipelines[-1]

    def open(
        self, query: str = "glossary=acl", target_langs: tuple[str, ...] = ("de",)
    ) -> tuple[Session | None, list[Output]]:
        served = {"acl": replace(self.glossary, target_langs=target_langs)}
        return open_session(query, served, session_id="s_1", limits=LIMITS)

    def session(self, query: str = "glossary=acl") -> Session:
        session, _ = self.open(query)
        assert session is not None
        return session


@pytest.fixture
def desk() -> Desk:
    """A fresh desk."""
    return Desk()


def _kinds(outputs: list[Output]) -> list[type]:
    return [type(output) for output in outputs]


def _only_error(outputs: list[Output]) -> Error:
    """The one message of `outputs`, a non-fatal error."""
    (error,) = outputs
    assert isinstance(error, Error)
    assert not error.fatal
    return error


def _fatal(outputs: list[Output]) -> Error:
    """The fatal error of `outputs`, which must be followed by the close it announces and by nothing else."""
    error, close = outputs
    assert isinstance(error, Error)
    assert isinstance(close, Close)
    assert error.fatal
    assert error.close_code == close.code
    return error


def test_the_greeting_says_what_will_be_heard(desk: Desk) -> None:
    """Begin carries glossary, profile, threshold, audio format and the limits that are enforced."""
    query = "glossary=acl&version=latest&profile=mt&encoding=linear16&sample_rate=48000&channels=2&target_lang=de"
    _, outputs = desk.open(query)
    (begin,) = outputs
    assert isinstance(begin, Begin)
    assert (begin.seq, begin.protocol, begin.session_id) == (0, 1, "s_1")
    assert (begin.glossary.id, begin.glossary.version, begin.glossary.terms) == ("acl", "v7", 238)
    assert (begin.profile, begin.threshold) == ("mt", 0.4)
    assert (begin.audio.encoding, begin.audio.sample_rate, begin.audio.channels) == ("linear16", 48_000, 2)
    assert begin.limits == LIMITS
    assert desk.pipelines[0].settings.decision == desk.glossary.profiles["mt"]


@pytest.mark.parametrize(
    ("query", "close_code", "field", "named"),
    [
        ("", 4400, "glossary", "acl"),
        ("glossary=acl&volume=11", 4400, "volume", "volume"),
        ("glossary=acl&glossary=acl", 4400, "glossary", "twice"),
        ("glossary=acl&profile=loud", 4400, "profile", "booth, mt"),
        ("glossary=acl&source_lang=fi", 4400, "source_lang", "fi"),
        ("glossary=acl&target_lang=fi", 4400, "target_lang", "de"),
        ("glossary=acl&sample_rate=fast", 4400, "sample_rate", "fast"),
        ("glossary=acl&sample_rate=-1", 4400, "sample_rate", "-1"),
        ("glossary=acl&sample_rate=1", 4400, None, "resample"),
        ("glossary=acl&channels=8", 4400, None, "8 channels"),
        ("glossary=acl&encoding=opus", 4400, None, "opus"),
        ("glossary=acl&vad_events=maybe", 4400, "vad_events", "maybe"),
        ("glossary=lrec", 4404, "glossary", "lrec"),
        ("glossary=acl,acl", 4400, "glossary", "names 'acl' twice: name each glossary once"),
        ("glossary=acl&version=v6", 4404, "version", "v7"),
    ],
)
def test_an_address_that_asks_for_the_wrong_thing_is_refused(
    desk: Desk, query: str, close_code: int, field: str | None, named: str
) -> None:
    """Unknown keys and values out of range give an error that names them, then the close; no pipeline is made."""
    session, outputs = desk.open(query)
    error = _fatal(outputs)
    assert session is None
    assert desk.pipelines == []
    assert (error.seq, error.close_code, error.field) == (0, close_code, field)
    assert named in error.message


def test_an_unknown_parameter_keeps_its_value_secret(desk: Desk) -> None:
    """The value of a key that is not ours may be a secret and is not repeated."""
    _, outputs = desk.open("glossary=acl&secret=hunter2")
    assert "hunter2" not in _fatal(outputs).message


def test_a_setting_that_the_pipeline_refuses_is_a_refusal(desk: Desk) -> None:
    """What the composition cannot build from the settings is told in its own sentence."""

    def refuse(_: SessionSettings) -> ScriptedPipeline:
        raise SettingError("no such luck")

    served = {"acl": replace(desk.glossary, open=refuse)}
    session, outputs = open_session("glossary=acl", served, session_id="s", limits=LIMITS)
    assert session is None
    assert _fatal(outputs).message == "no such luck"


def test_a_choice_of_translations_is_asked_for(desk: Desk) -> None:
    """A listener who did not choose among several languages is told why hints come without translation."""
    _, outputs = desk.open(target_langs=("de", "zh"))
    assert _kinds(outputs) == [Begin, Warning]
    assert isinstance(outputs[1], Warning)
    assert "target_lang=de (there are: de, zh)" in outputs[1].message


def test_a_translation_of_unnamed_language_serves_any_wish(desk: Desk) -> None:
    """A glossary that does not name its language cannot contradict the wish."""
    session, _ = desk.open("glossary=acl&target_lang=fi", target_langs=("",))
    assert session is not None


@pytest.mark.parametrize(
    ("flags", "kinds"),
    [
        ("", [SpeechStartedMessage, TermHint]),
        ("&vad_events=false", [TermHint]),
        ("&abstain_events=true", [SpeechStartedMessage, Abstain, TermHint]),
    ],
)
def test_events_come_as_asked_for(desk: Desk, flags: str, kinds: list[type]) -> None:
    """Speech bounds and abstentions are told to those who want them, numbered without gaps."""
    outputs = desk.session("glossary=acl" + flags).receive_audio(bytes(640))
    assert _kinds(outputs) == kinds
    assert [output.seq for output in outputs if not isinstance(output, Close)] == list(range(1, len(kinds) + 1))


def test_finalize_flushes_and_the_stream_stays_usable(desk: Desk) -> None:
    """Finalize answers with its hints and the marker, and audio after it is heard."""
    session = desk.session()
    session.receive_audio(bytes(640))
    outputs = session.receive_text('{"type":"Finalize"}')
    assert _kinds(outputs) == [TermHint, MarkerReached]
    assert isinstance(outputs[1], MarkerReached)
    assert (outputs[1].id, outputs[1].audio_processed_s) == ("finalize", 0.02)
    assert _kinds(session.receive_audio(bytes(640))) == [SpeechStartedMessage, TermHint]


def test_close_stream_drains_and_sums_up(desk: Desk) -> None:
    """CloseStream gives the last hints, the sum, and close 1000; what comes later gives nothing."""
    session = desk.session()
    session.receive_audio(bytes(640))
    outputs = session.receive_text('{"type":"CloseStream"}')
    assert _kinds(outputs) == [TermHint, SpeechEndedMessage, Metadata, Close]
    assert outputs[2] == Metadata(
        seq=5,
        session_id="s_1",
        duration=0.02,
        hints=2,
        abstained_windows=1,
        from_close=True,
        latency_ms=PercentilesPart(p50=500, p95=500),
    )
    assert outputs[3] == Close(CloseCode.NORMAL, "")
    assert session.receive_audio(bytes(2)) == session.receive_text("{}") == session.tick(1e9) == []
    assert session.fail("internal", CloseCode.INTERNAL, "") == session.overflowed(1) == []


def test_a_marker_comes_back_with_the_clock(desk: Desk) -> None:
    """A marker says up to where the audio before it was worked on."""
    session = desk.session("glossary=acl&vad_events=false")
    session.receive_audio(bytes(320))
    assert session.receive_text('{"type":"Marker","id":"m3"}') == [
        MarkerReached(seq=2, id="m3", audio_processed_s=0.01)
    ]


def test_an_empty_frame_is_a_warning(desk: Desk) -> None:
    """An empty binary frame neither ends the stream nor reaches the pipeline."""
    session = desk.session()
    (warning,) = session.receive_audio(b"")
    assert isinstance(warning, Warning)
    assert warning.code == "empty_frame"
    assert desk.pipelines[0].received_samples == 0
    assert not session.closed


@pytest.mark.parametrize("kind", ["binary", "text"])
def test_a_frame_above_the_limit_ends_the_session(desk: Desk, kind: str) -> None:
    """A frame that is too big gives an error with the limit, then 1009; one at the limit is heard."""
    session = desk.session()
    assert session.receive_audio(bytes(1000))
    outputs = session.receive_audio(bytes(1001)) if kind == "binary" else session.receive_text("x" * 1001)
    error = _fatal(outputs)
    assert error.close_code == CloseCode.FRAME_TOO_BIG
    assert "1000 bytes" in error.message
    assert session.closed


def test_configure_is_applied_as_a_whole(desk: Desk) -> None:
    """Numbers given beat those of the profile given; what is not given stays."""
    session = desk.session()
    (first,) = session.receive_text('{"type":"Configure","request_id":"c1","profile":"mt","threshold":0.6}')
    (second,) = session.receive_text('{"type":"Configure","max_hints_per_window":2}')
    assert isinstance(first, Configured)
    assert isinstance(second, Configured)
    assert (first.request_id, first.effective.profile, first.effective.threshold) == ("c1", "mt", 0.6)
    assert first.effective.max_hints_per_window == 9
    assert (second.effective.threshold, second.effective.max_hints_per_window) == (0.6, 2)
    assert desk.pipelines[0].configured == [DecisionConfig(0.6, 300, 9), DecisionConfig(0.6, 300, 2)]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ('"threshold":1.5,"max_hints_per_window":3', "invalid_config", "threshold"),
        ('"threshold":0.5,"max_hints_per_window":-1', "invalid_config", "max_hints_per_window"),
        ('"threshold":0.5,"profile":"loud"', "invalid_config", "profile"),
        ('"threshold":0.5,"sample_rate":8000', "new_session_only", "sample_rate"),
        ('"threshold":0.5,"model":"big"', "startup_only", "model"),
    ],
)
def test_a_configure_that_is_wrong_in_part_changes_nothing(desk: Desk, fields: str, code: str, field: str) -> None:
    """A rejected Configure names field and request, keeps the old settings, and the stream goes on."""
    session = desk.session()
    error = _only_error(session.receive_text(f'{{"type":"Configure","request_id":"c9",{fields}}}'))
    assert (error.code, error.field, error.request_id) == (code, field, "c9")
    assert desk.pipelines[0].configured == []
    assert session.receive_audio(bytes(2))


def test_a_message_that_is_not_understood_ends_nothing(desk: Desk) -> None:
    """Nonsense in a text frame is answered with a non-fatal error."""
    session = desk.session()
    assert _only_error(session.receive_text("nonsense")).code == "invalid_message"
    assert not session.closed


def test_a_silent_client_is_dismissed_after_the_announced_time(desk: Desk) -> None:
    """4408 comes `idle_timeout_s` after the first tick without a frame, not before."""
    session = desk.session()
    assert session.tick(100.0) == session.tick(129.9) == []
    assert _fatal(session.tick(130.0)).close_code == CloseCode.IDLE


@pytest.mark.parametrize("sign", ["keep-alive", "audio", "empty frame"])
def test_any_frame_restarts_the_idle_timer(desk: Desk, sign: str) -> None:
    """KeepAlive and every other frame count as life; KeepAlive leaves the audio clock where it is."""
    session = desk.session()
    session.tick(0.0)
    if sign == "keep-alive":
        assert session.receive_text('{"type":"KeepAlive"}') == []
    else:
        session.receive_audio(b"" if sign == "empty frame" else bytes(2))
    assert session.tick(29.0) == session.tick(58.0) == []
    assert session.tick(59.0)
    assert desk.pipelines[0].received_samples == (sign == "audio")


def test_an_overflow_is_told(desk: Desk) -> None:
    """A client that sends faster than its audio is worked on hears of it."""
    (warning,) = desk.session().overflowed(3)
    assert isinstance(warning, Warning)
    assert warning.code == "backpressure"
    assert "3 so far" in warning.message


def test_a_failure_is_announced(desk: Desk) -> None:
    """A session that is made to fail says why before it closes."""
    error = _fatal(desk.session().fail("restart", CloseCode.RESTART, "back soon"))
    assert (error.seq, error.close_code, error.message) == (1, 1001, "back soon")


def test_percentiles_are_those_of_the_sorted_latencies() -> None:
    """The bounded counts give the nearest-rank percentiles, to 10 ms; a latency of any length is counted."""
    outbox = Outbox(OutboxConfig(session_id="s"))
    latencies_ms = [*range(0, 1000, 10), 10_000_000]
    for latency in latencies_ms:
        outbox.feed([Hint("h", "g:1", "ion", {}, 0, 16, 16 + latency * 16, 0.9, None, 1, 1)])
    metadata = outbox.metadata(0, from_close=False)
    assert metadata.latency_ms == PercentilesPart(p50=500, p95=950)
    assert metadata.latency_ms.p50 == sorted(latencies_ms)[-(-len(latencies_ms) * 50 // 100) - 1]


def test_a_stream_without_hints_has_no_latency() -> None:
    """There is no percentile of nothing."""
    outbox = Outbox(OutboxConfig(session_id="s"))
    assert outbox.metadata(16_000, from_close=True).latency_ms is None


def test_the_real_pipeline_is_a_hint_pipeline(served: Mapping[str, ServedGlossary]) -> None:
    """A session over the real pipeline hears a tone and says its term."""
    session, outputs = open_session("glossary=tones&target_lang=de", served, session_id="s", limits=Limits())
    assert session is not None
    assert _kinds(outputs) == [Begin]
    heard = session.receive_audio(synthetic_pcm([(0, 400), (900, 600), (0, 1000)]))
    assert [(hint.term, hint.translation) for hint in heard if isinstance(hint, TermHint)] == [
        ("900 hertz tone", "Ton von 900 Hertz")
    ]
