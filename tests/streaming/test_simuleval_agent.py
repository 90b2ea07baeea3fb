"""The SimulEval adapter against the real package: real agents, states and segments."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from simuleval.agents import AgentPipeline, SpeechToTextAgent, TextToTextAgent
from simuleval.agents.actions import Action, ReadAction, WriteAction
from simuleval.agents.states import AgentStates
from simuleval.data.segments import EmptySegment, SpeechSegment, TextSegment

from streaming.audio import AudioFormat
from streaming.client import StreamOptions
from streaming.errors import SettingError, WireError
from streaming.heard_terms import HeardTerm, OpenListener, PipelineListener, ServerListener, term_map
from streaming.session import ServedGlossary
from streaming.sessions.session_settings import SessionSettings
from streaming.simuleval_agent import TermCueAgent
from streaming.testing import synthetic_pcm, tone_glossary
from tests.streaming.client.faulty_server import Fault, server_thread

CHUNK_S = 0.96
TONES_MS = [(0, 400), (900, 600), (0, 800), (1700, 600), (0, 1400), (900, 600), (0, 700)]
# What is known of the terms that overlap each segment or the second before it; a tone is told 0.3 s after its end.
EXPECTED = [
    "",
    "900 hertz tone -> Ton von 900 Hertz",
    "900 hertz tone -> Ton von 900 Hertz; 1700 hertz tone -> Ton von 1700 Hertz",
    "1700 hertz tone -> Ton von 1700 Hertz",
    "900 hertz tone -> Ton von 900 Hertz",
    "900 hertz tone -> Ton von 900 Hertz",
]


class Repeater(SpeechToTextAgent):  # type: ignore[misc]
    """A translation agent that says the term map of each segment."""

    def policy(self, states: AgentStates | None = None) -> Action:
        """Say what the last segment brought; read where it brought nothing."""
        states = states or self.states
        told = states.config.get("term_map", "nothing came")
        if not told and not states.source_finished:
            return ReadAction()
        return WriteAction(told, finished=states.source_finished)


class Stateful(Repeater):
    """The same without states of a caller."""

    def policy(self) -> Action:  # type: ignore[override]
        """Say what the last segment brought."""
        return super().policy()

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        """An option of its own."""
        parser.add_argument("--voice", default="low")


class Shouter(TextToTextAgent):  # type: ignore[misc]
    """The second agent of a pipeline."""

    def policy(self) -> Action:
        """Upper case."""
        return WriteAction("".join(self.states.source[-1:]).upper(), finished=self.states.source_finished)


def _segments(rate: int = 16_000, *, stereo: bool = False) -> Iterator[SpeechSegment]:
    """The source as SimulEval's evaluator cuts it."""
    pcm = synthetic_pcm(TONES_MS, AudioFormat(sample_rate=rate))
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
    size = round(CHUNK_S * rate)
    for start in range(0, len(samples), size):
        chunk = samples[start : start + size]
        content = np.stack((chunk, chunk), axis=1).tolist() if stereo else chunk.tolist()
        yield SpeechSegment(
            index=start, content=content, sample_rate=rate, finished=start + size >= len(samples), tgt_lang=None
        )


def _local(served: ServedGlossary | None = None) -> OpenListener:
    glossary = served or tone_glossary()

    def open_listener(audio_format: AudioFormat) -> PipelineListener:
        settings = SessionSettings(
            glossary="tones",
            format=audio_format,
            profile="booth",
            decision=glossary.profiles["booth"],
            source_lang="en",
        )
        return PipelineListener(glossary.open(settings), "de")

    return open_listener


def _run(agent: Any, states: Any = None, rate: int = 16_000, *, stereo: bool = False) -> list[str]:  # noqa: ANN401
    """The output for each segment."""
    said = []
    for segment in _segments(rate, stereo=stereo):
        output = agent.pushpop(segment, states) if states is not None else agent.pushpop(segment)
        said.append("" if output.is_empty else output.content)
    return said


@pytest.mark.parametrize(("rate", "stereo"), [(16_000, False), (16_000, True), (48_000, False)])
def test_each_segment_brings_the_terms_that_overlap_it(rate: int, stereo: bool) -> None:
    """Hints go with the segments in which, or shortly after which, their term was said; at any rate."""
    assert _run(TermCueAgent(Stateful(), _local()), rate=rate, stereo=stereo) == EXPECTED


def test_a_server_gives_the_same(served: Mapping[str, ServedGlossary]) -> None:
    """Over a websocket, and over one that breaks, nothing depends on time."""
    options = StreamOptions(glossary="tones", target_lang="de")
    with server_thread(served, [Fault(after_s=2.5), Fault(after_s=0.7, forget=True)]) as url:
        assert _run(TermCueAgent(Stateful(), ServerListener.opener(url, options))) == EXPECTED


def test_one_source_after_the_other() -> None:
    """The evaluator resets an agent before each source; one that was broken off leaves nothing behind."""
    agent = TermCueAgent(Stateful(), _local())
    assert _run(agent) == EXPECTED
    agent.reset()
    agent.pushpop(next(_segments()))
    agent.reset()
    assert _run(agent) == EXPECTED


def test_a_stateless_agent_hears_several_sources_at_once() -> None:
    """Each source is heard on its own, by the states that its caller keeps."""
    agent = TermCueAgent(Repeater(), _local())
    first, second = agent.build_states(), agent.build_states()
    said: list[tuple[str, str]] = []
    for segment, other in zip(_segments(), _segments(), strict=True):
        pair = (agent.pushpop(segment, first), agent.pushpop(other, second))
        said.append(tuple("" if output.is_empty else output.content for output in pair))  # type: ignore[arg-type]
    assert said == [(each, each) for each in EXPECTED]


def test_a_pipeline_of_agents_is_wrapped_whole() -> None:
    """The first of several agents is told the terms, and what they say together comes out."""
    agent = TermCueAgent(AgentPipeline([Stateful(), Shouter()]), _local())
    assert (agent.source_type, agent.target_type) == ("speech", "text")
    assert next(said for said in _run(agent) if said) == EXPECTED[1].upper()


def test_probabilities_and_places_come_too() -> None:
    """Beside the text the segment carries the terms as rows, in seconds of the source."""
    agent = TermCueAgent(Stateful(), _local(), look_back_s=0.0)
    for segment in _segments():
        agent.pushpop(segment)
        rows = segment.config["terms"]
        if rows:
            break
    ((term, translation, score, start, end),) = rows
    assert (term, translation, start, end) == ("900 hertz tone", "Ton von 900 Hertz", 0.4, 1.0)
    assert 0.5 < score < 1


def test_an_empty_source_is_no_source() -> None:
    """A source that ends before it began opens nothing, and is answered."""

    def refuse(_: AudioFormat) -> PipelineListener:
        raise AssertionError("opened")

    output = TermCueAgent(Stateful(), refuse).pushpop(EmptySegment(finished=True))
    assert isinstance(output, TextSegment)
    assert (output.content, output.finished) == ("", True)


def test_only_agents_that_take_speech_can_be_told_its_terms() -> None:
    """A text agent is refused in one sentence."""
    with pytest.raises(SettingError, match="takes text: wrap an agent that takes speech"):
        TermCueAgent(Shouter(), _local())


def test_the_command_line_makes_the_agent(
    served: Mapping[str, ServedGlossary], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SimulEval's own way from options to an agent, those of the wrapped one included."""
    module = type(sys)("my_system")
    module.Mine = Stateful  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_system", module)
    with server_thread(served) as url:
        options = ["--termcue-agent", "my_system.Mine", "--termcue-url", url, "--termcue-glossary", "tones"]
        options += ["--termcue-target-lang", "de", "--voice", "high"]
        monkeypatch.setattr(sys, "argv", ["simuleval", *options])
        parser = ArgumentParser()
        TermCueAgent.add_args(parser)
        args = parser.parse_args()
        assert args.voice == "high"
        agent = TermCueAgent.from_args(args)
        assert agent.agent.args is args
        assert _run(agent) == EXPECTED


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--termcue-url", "ws://h", "--termcue-glossary", "g"], "--termcue-agent is missing"),
        (["--termcue-agent", "my.Agent", "--termcue-glossary", "g"], "--termcue-url is missing"),
        (["--termcue-agent", "no_module.A", "--termcue-url", "ws://h", "--termcue-glossary", "g"], "no such class"),
        (["--termcue-agent", "A", "--termcue-url", "ws://h", "--termcue-glossary", "g"], "no such class"),
    ],
)
def test_what_is_missing_on_the_command_line_is_named(options: list[str], said: str) -> None:
    """Options that the agent cannot do without, and a class that is not there."""
    parser = ArgumentParser()
    TermCueAgent.add_args(parser)
    with pytest.raises(SettingError, match=said):
        TermCueAgent.from_args(parser.parse_args(options))


def test_a_server_that_is_lost_is_raised(served: Mapping[str, ServedGlossary]) -> None:
    """An evaluation ends rather than going on without terms."""
    options = StreamOptions(glossary="tones", resume=False)
    with server_thread(served, [Fault(after_s=1.5)]) as url, pytest.raises(WireError, match="closed without a word"):
        _run(TermCueAgent(Stateful(), ServerListener.opener(url, options)))


def test_a_term_map_says_each_term_once_in_order() -> None:
    """Untranslated terms have no place in it."""
    heard = [
        HeardTerm("root", "Wurzel", 0.9, 3.0, 3.5),
        HeardTerm("tree", "Baum", 0.8, 1.0, 1.5),
        HeardTerm("leaf", None, 0.8, 1.2, 1.5),
        HeardTerm("tree", "Baum", 0.7, 4.0, 4.5),
    ]
    assert term_map(heard) == "tree -> Baum; root -> Wurzel"
    assert term_map([]) == ""
