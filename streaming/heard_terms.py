"""The terms of a stretch of speech, for a translation system: from a pipeline in this process, or from a server."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from streaming.audio import AudioFormat
from streaming.client import BlockingHintStream, StreamOptions
from streaming.events import SAMPLE_RATE, Event, Hint
from streaming.protocol import ServerMessage, TermHint, chosen_translation
from streaming.sessions.hint_pipeline import HintPipeline


@dataclass(frozen=True, slots=True)
class HeardTerm:
    """A term that was said from `start` to `end`, seconds of the stream; `score` is a probability."""

    term: str
    translation: str | None
    score: float
    start: float
    end: float


class TermListener(Protocol):
    """Hears one stream of audio."""

    def hear(self, pcm: bytes) -> list[HeardTerm]:
        """Interleaved s16le bytes -> the terms that are known by then and were not before."""
        ...

    def finish(self) -> list[HeardTerm]:
        """The audio is over: the last terms."""
        ...

    def close(self) -> None:
        """The stream is not wanted any more."""
        ...


OpenListener: TypeAlias = Callable[[AudioFormat], TermListener]


class PipelineListener:
    """Hears with a pipeline of this process; translations are those into `target_lang`."""

    def __init__(self, pipeline: HintPipeline, target_lang: str | None = None) -> None:
        self._pipeline = pipeline
        self._target_lang = target_lang

    def hear(self, pcm: bytes) -> list[HeardTerm]:
        """Bytes -> new terms."""
        return self._heard(self._pipeline.feed(pcm))

    def finish(self) -> list[HeardTerm]:
        """The last terms."""
        return self._heard(self._pipeline.finish())

    def close(self) -> None:
        """Nothing to give back."""

    def _heard(self, events: Iterable[Event]) -> list[HeardTerm]:
        return [
            HeardTerm(
                event.term,
                chosen_translation(event.translations, self._target_lang),
                event.score,
                event.start_sample / SAMPLE_RATE,
                event.end_sample / SAMPLE_RATE,
            )
            for event in events
            if isinstance(event, Hint) and event.is_final
        ]


class ServerListener:
    """Hears with a server; each call waits until it has worked on the audio, so that results do not depend on time.

    Raises as `BlockingHintStream.__enter__` does.
    """

    def __init__(self, url: str, options: StreamOptions) -> None:
        self._stream = BlockingHintStream(url, options)
        self._stream.__enter__()

    @classmethod
    def opener(cls, url: str, options: StreamOptions) -> OpenListener:
        """Opens a stream of the format that it is given, with those options."""
        return lambda audio_format: cls(url, replace(options, format=audio_format))

    def hear(self, pcm: bytes) -> list[HeardTerm]:
        """Bytes -> new terms. Raises WireError where the stream was lost."""
        self._stream.send_audio(pcm)
        return _of_messages(self._stream.worked_off())

    def finish(self) -> list[HeardTerm]:
        """The last terms; the stream is closed. Raises WireError where it was lost."""
        self._stream.close()
        last = _of_messages(self._stream)
        self.close()
        return last

    def close(self) -> None:
        """End the connection."""
        self._stream.__exit__(None, None, None)


def term_map(terms: Iterable[HeardTerm]) -> str:
    """`term -> translation; term -> translation`, in the order of the speech, each once; without those untranslated."""
    ordered = sorted(terms, key=lambda heard: (heard.start, heard.end))
    pairs = {heard.term: heard.translation for heard in ordered if heard.translation is not None}
    return "; ".join(f"{term} -> {translation}" for term, translation in pairs.items())


def _of_messages(messages: Iterable[ServerMessage]) -> list[HeardTerm]:
    return [
        HeardTerm(message.term, message.translation, message.score, message.start, message.end)
        for message in messages
        if isinstance(message, TermHint) and message.is_final
    ]
