"""The port through which a session drives a pipeline."""

from collections.abc import Mapping
from typing import Protocol

from streaming.decision_config import DecisionConfig
from streaming.events import Event
from streaming.pacing import Pace
from streaming.pipeline_ports import Scorer, SearchedGlossary


class HintPipeline(Protocol):
    """The way from bytes to events, as `streaming.pipeline.Pipeline` goes it."""

    @property
    def received_samples(self) -> int:
        """Length of the stream so far in samples at 16 kHz."""
        ...

    def feed(self, chunk: bytes) -> list[Event]:
        """Bytes of any length -> the events that can be told by now."""
        ...

    def flush(self) -> list[Event]:
        """Decide on everything heard so far; the stream stays usable."""
        ...

    def finish(self) -> list[Event]:
        """Decide on the rest of the stream and end it."""
        ...

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds spent in each stage since the start of the stream."""
        ...

    @property
    def dropped_windows(self) -> int:
        """Hops with speech on which nothing was decided, because the machine was too slow."""
        ...

    @property
    def tells_interim(self) -> bool:
        """Whether its scorers are to tell tentative candidates."""
        ...

    def pace(self, pace: Pace) -> None:
        """Decide so often from the next hop on."""
        ...

    def configure(self, decision: DecisionConfig) -> None:
        """Decide by `decision` from the next hop on."""
        ...

    def replace_index(self, index: SearchedGlossary, scorer: Scorer) -> int:
        """Listen for the entries of another index from the next hop on; the first sample of that hop."""
        ...
