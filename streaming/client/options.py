"""What a client asks of a server, and how it bears a bad network."""

from dataclasses import dataclass, field

from streaming.audio import AudioFormat
from streaming.errors import SettingError
from streaming.sources import Notify, ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What is asked of the server; None leaves a choice to it.

    `threshold` (a probability) beats `false_hints_per_hour` beats `profile`. There are no hints for `mute_entries`,
    which are ids of entries. With `term_map_ms` hints come as one `TermMap` for each chunk of so much audio.

    `ahead_s` seconds of audio may be under way, so that a file goes as fast as the server works and no faster.
    `keep_alive_s` after the last frame of a source that pauses, the server is told that the client still lives.

    With `resume` a connection that breaks is made again, for at most `give_up_s` without progress; `ring_s` seconds of
    audio are kept for it, and a source waits where more would come. A connection on which the server answers no ping
    for three times `ping_s` counts as broken. `notify` is told, in a sentence, what happens to the connection.

    Raises SettingError for a value out of its range.
    """

    glossary: str
    format: AudioFormat = field(default_factory=AudioFormat)
    api_key: str | None = None
    profile: str | None = None
    threshold: float | None = None
    false_hints_per_hour: float | None = None
    mute_entries: tuple[str, ...] = ()
    source_lang: str | None = None
    target_lang: str | None = None
    interim_hints: bool = False
    vad_events: bool = True
    abstain_events: bool = False
    term_map_ms: int | None = None
    ahead_s: float = 5
    keep_alive_s: float = 10
    open_timeout_s: float = 10
    resume: bool = True
    ring_s: float = 60
    give_up_s: float = 120
    ping_s: float = 5
    notify: Notify = ignore

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise SettingError(f"threshold = {self.threshold:g}: give a probability, 0..1")
        if self.false_hints_per_hour is not None and not 0 < self.false_hints_per_hour < float("inf"):
            raise SettingError(
                f"false_hints_per_hour = {self.false_hints_per_hour:g}: give a number above 0, such as 12"
            )
        for name in ("keep_alive_s", "open_timeout_s", "ping_s"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} = {getattr(self, name):g}: give more than 0 seconds")
        # Markers go once a second: with less under way none would be sent.
        if self.ahead_s < 1:
            raise SettingError(f"ahead_s = {self.ahead_s:g}: give at least 1 second")
        if self.ring_s < self.ahead_s + 1:
            raise SettingError(f"ring_s = {self.ring_s:g}: give at least 1 s more than ahead_s = {self.ahead_s:g}")
