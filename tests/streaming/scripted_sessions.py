"""Sessions over a pipeline that says what it was told to, and how their outputs are looked at."""

from dataclasses import replace

from streaming.decision_config import DecisionConfig
from streaming.events import Abstention, Event, Hint, SpeechEnded, SpeechStarted
from streaming.index.entry_register import EntryRegister
from streaming.pacing import Pace
from streaming.pipeline_ports import Scorer, SearchedGlossary
from streaming.protocol import Error, Limits
from streaming.session import Close, Output, ServedGlossary, Session, SessionSettings, open_session
from streaming.testing import FakeScorer, tone_index

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


def kinds_of(outputs: list[Output]) -> list[type]:
    """The types of the outputs, in their order."""
    return [type(output) for output in outputs]


def only_error(outputs: list[Output]) -> Error:
    """The one message of `outputs`, a non-fatal error."""
    (error,) = outputs
    assert isinstance(error, Error)
    assert not error.fatal
    return error


def fatal(outputs: list[Output]) -> Error:
    """The fatal error of `outputs`, which must be followed by the close it announces and by nothing else."""
    error, close = outputs
    assert isinstance(error, Error)
    assert isinstance(close, Close)
    assert error.fatal
    assert error.close_code == close.code
    return error
