"""What a retriever is trained and judged on: stretches of audio with every audible term and its span."""

from dataclasses import dataclass
from pathlib import Path

from training.corpus.manifest import Word


@dataclass(frozen=True, slots=True)
class TermSpan:
    """A term as the glossary writes it, and where it is said, in samples from the start of its example."""

    term: str
    start_sample: int
    end_sample: int


@dataclass(frozen=True, slots=True)
class Example:
    """A stretch of one recording at 16 kHz.

    Attributes:
        example_id: unique in its file.
        audio: the recording.
        start_sample: where the stretch begins in it.
        samples: length of the stretch; 0 for all that follows.
        text: what is said, "" where unknown.
        terms: every audible term; empty for a no-term example.
        words: timed words of the stretch, also those that an edge cuts (start below 0 or end past `samples`);
            empty where times are unknown, and then the alignment head learns nothing from it.
        recording: what it was cut from; splits are disjoint by it.
        speaker: who speaks, "" where unknown.
    """

    example_id: str
    audio: Path
    start_sample: int
    samples: int
    text: str
    terms: tuple[TermSpan, ...]
    words: tuple[Word, ...] = ()
    recording: str = ""
    speaker: str = ""

    @property
    def is_no_term(self) -> bool:
        """Whether nothing in it should be found."""
        return not self.terms
