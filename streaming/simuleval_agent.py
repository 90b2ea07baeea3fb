"""An agent for SimulEval that tells a translation agent which glossary terms are being said.

Needs the extra `simuleval`. The wrapped agent hears the same segments; each one that comes to it carries, in its
`config`, what TermCue knows by then of the terms whose speech overlaps it:

- `term_map`: "term -> translation; term -> translation", as prompts of RASST and InfiniSST have it;
- `terms`: a list of [term, translation or null, probability, start, end], seconds since the start of the source.

    simuleval --agent-class streaming.simuleval_agent.TermCueAgent --termcue-agent my_system.MyAgent \
        --termcue-url ws://127.0.0.1:8765 --termcue-glossary talks --termcue-target-lang de ...
"""

import importlib
from argparse import ArgumentParser, Namespace
from dataclasses import astuple
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from simuleval.agents import AgentStates, GenericAgent
from simuleval.data.segments import Segment

from streaming.audio import AudioFormat, float_to_pcm16
from streaming.client import StreamOptions
from streaming.errors import SettingError
from streaming.heard_terms import HeardTerm, OpenListener, ServerListener, TermListener, term_map

# A hint comes about 0.6 s after the term has ended, so that it often belongs to the segment before.
DEFAULT_LOOK_BACK_S = 1.0


class _Hearing:
    """The terms of one source as its segments come."""

    def __init__(self, open_listener: OpenListener, look_back_s: float) -> None:
        self._open_listener = open_listener
        self._look_back_s = look_back_s
        self._listener: TermListener | None = None
        self._rate = 0
        self._frames = 0
        self._known: list[HeardTerm] = []
        self.is_over = False

    def hear(self, segment: Segment) -> list[HeardTerm]:
        """Hear a segment; the terms whose speech overlaps it, or the look-back before it."""
        start_s = self._frames / self._rate if self._rate else 0.0
        if not segment.is_empty and len(segment.content):
            self._hear(np.asarray(segment.content, np.float32), int(segment.sample_rate))
        if segment.finished:
            self.is_over = True
            if self._listener is not None:
                self._known += self._listener.finish()
                self._listener = None
        end_s = self._frames / self._rate if self._rate else 0.0
        self._known = [heard for heard in self._known if heard.end > start_s - self._look_back_s]
        return [heard for heard in self._known if heard.start < end_s]

    def close(self) -> None:
        """The source is not wanted any more."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _hear(self, samples: np.ndarray[Any, np.dtype[np.float32]], rate: int) -> None:
        mono = samples if samples.ndim == 1 else samples.mean(axis=1)
        if self._listener is None:
            self._rate = rate
            self._listener = self._open_listener(AudioFormat(sample_rate=rate))
        self._frames += len(mono)
        self._known += self._listener.hear(float_to_pcm16(mono))


class TermCueAgent(GenericAgent):  # type: ignore[misc]
    """Speech in; out comes what the wrapped agent makes of it and of the terms.

    Args:
        agent: the translation agent; stateful or stateless, alone or a pipeline.
        open_listener: opens what hears one source: `ServerListener.opener(url, options)`, or a function that gives a
            `PipelineListener`.
        look_back_s: a term also goes with segments that start so long after its end.
    """

    source_type = "speech"

    def __init__(
        self, agent: GenericAgent, open_listener: OpenListener, look_back_s: float = DEFAULT_LOOK_BACK_S
    ) -> None:
        if agent.source_type != "speech":
            raise SettingError(f"{agent} takes {agent.source_type}: wrap an agent that takes speech")
        self.agent = agent
        self.target_type = agent.target_type
        self._open_listener = open_listener
        self._look_back_s = look_back_s
        self._hearings: WeakKeyDictionary[AgentStates, _Hearing] = WeakKeyDictionary()
        self._hearing: _Hearing | None = None
        super().__init__()
        if hasattr(agent, "states"):
            self.states: Any = agent.states

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        """The options of this agent, and those of the one that it wraps."""
        _add_own_args(parser)
        peeking = ArgumentParser(add_help=False)
        _add_own_args(peeking)
        known, _ = peeking.parse_known_args()
        if known.termcue_agent:
            _agent_class(known.termcue_agent).add_args(parser)

    @classmethod
    def from_args(cls, args: Namespace) -> "TermCueAgent":
        """The agent that the command line asks for. Raises SettingError where an option is missing."""
        for name in ("agent", "url", "glossary"):
            if not getattr(args, f"termcue_{name}"):
                raise SettingError(f"--termcue-{name} is missing: TermCueAgent needs it")
        options = StreamOptions(
            glossary=args.termcue_glossary,
            target_lang=args.termcue_target_lang,
            profile=args.termcue_profile,
            api_key=args.termcue_api_key,
        )
        agent = _agent_class(args.termcue_agent).from_args(args)
        return cls(agent, ServerListener.opener(args.termcue_url, options), args.termcue_look_back)

    def build_states(self) -> Any:  # noqa: ANN401
        """Those of the wrapped agent."""
        return self.agent.build_states()

    def reset(self) -> None:
        """Another source begins."""
        if self._hearing is not None:
            self._hearing.close()
            self._hearing = None
        self.agent.reset()

    def push(
        self,
        source_segment: Segment,
        states: AgentStates | None = None,
        upstream_states: list[AgentStates] | None = None,
    ) -> None:
        """Hear a segment, and hand it on with what is known of its terms."""
        heard = self._hearing_of(states).hear(source_segment)
        told = {"term_map": term_map(heard), "terms": [list(astuple(each)) for each in heard]}
        source_segment.config = {**source_segment.config, **told}
        self.agent.push(source_segment, states, upstream_states)

    def pop(self, states: AgentStates | None = None) -> Segment:
        """What the wrapped agent says."""
        return self.agent.pop(states)

    def policy(self, states: AgentStates | None = None) -> Any:  # noqa: ANN401
        """What the wrapped agent decides."""
        return self.agent.policy() if states is None else self.agent.policy(states)

    def to(self, device: str, *args: object, **options: object) -> None:
        """Move the wrapped agent."""
        self.agent.to(device, *args, **options)

    def _hearing_of(self, states: AgentStates | list[AgentStates] | None) -> _Hearing:
        """What hears the source of these states: a stateless agent may be in the middle of several."""
        # A pipeline has one for each of its agents.
        key = states[0] if isinstance(states, list) else states
        hearing = self._hearing if key is None else self._hearings.get(key)
        if hearing is None or hearing.is_over:
            hearing = _Hearing(self._open_listener, self._look_back_s)
            if key is None:
                self._hearing = hearing
            else:
                self._hearings[key] = hearing
        return hearing


def _add_own_args(parser: ArgumentParser) -> None:
    parser.add_argument("--termcue-agent", metavar="MODULE.CLASS", help="The translation agent that is told the terms.")
    parser.add_argument("--termcue-url", metavar="URL", help="TermCue's server: ws://HOST:PORT.")
    parser.add_argument("--termcue-glossary", metavar="ID", help="A glossary that it serves.")
    parser.add_argument("--termcue-target-lang", metavar="LANG", help="Language of the translations.")
    parser.add_argument("--termcue-profile", default="mt", help="booth: few false hints. mt: few misses.")
    parser.add_argument("--termcue-api-key", metavar="KEY", help="Where the server wants one.")
    parser.add_argument(
        "--termcue-look-back",
        type=float,
        default=DEFAULT_LOOK_BACK_S,
        metavar="SECONDS",
        help="A term also goes with segments that start so long after its end.",
    )


def _agent_class(name: str) -> Any:  # noqa: ANN401
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(f"--termcue-agent {name}: there is no such class ({error})") from error
