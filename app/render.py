"""What a listener sees: JSON lines of the wire protocol, or a table that grows as hints come.

Results go to standard output; notes, such as what is being listened to, go to standard error.
"""

import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.notes import counted
from streaming.protocol import (
    Abstain,
    Begin,
    GlossaryUpdated,
    HintRetracted,
    Metadata,
    ServerMessage,
    SpeechEndedMessage,
    SpeechStartedMessage,
    TermHint,
    Warning,
    encode,
)

Print = Callable[[str], None]


class Sink(Protocol):
    """Takes the messages of one stream in order."""

    def __enter__(self) -> Self:
        """Start to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave standard output whole."""
        ...

    def show(self, message: ServerMessage) -> None:
        """Show one message at once."""
        ...

    def heard(self, seconds: float) -> None:
        """Say up to which second of the audio clock audio has been taken."""
        ...


class JsonLines:
    """Every message as one line of JSON, flushed at once."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held back, so nothing is left to write."""

    def show(self, message: ServerMessage) -> None:
        """Write one line in one piece, so that an interrupt leaves no half of it."""
        self._stream.write(encode(message) + "\n")
        self._stream.flush()

    def heard(self, seconds: float) -> None:
        """The messages carry the clock themselves."""


class HintTable:
    """Hints as rows of a table, each printed once; on a terminal a last line shows the clock.

    Args:
        note: takes sentences about the stream, for standard error.
        console: where the rows go; standard output by default.
    """

    def __init__(self, note: Print, console: Console | None = None) -> None:
        self._note = note
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = 100
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True) if self._console.is_terminal else None
        )
        self._layers: list[str] = []
        self._hints = 0
        self._interim: dict[str, TermHint] = {}
        self._has_header = False
        self._shown_second = -1

    def __enter__(self) -> Self:
        """Start the clock line on a terminal."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the clock line away; the rows stay."""
        if self._live:
            self._live.stop()

    def show(self, message: ServerMessage) -> None:
        """Print a hint as a row; tell of the rest what a listener needs."""
        match message:
            case Begin():
                self._greet(message)
            case TermHint():
                self._show_hint(message)
            case HintRetracted():
                self._show_withdrawal(message)
            case Abstain():
                against = "" if message.threshold is None else f"threshold {message.threshold:.2f}"
                self._print(message.start, f"({message.reason})", against, f"{message.best_score:.2f}", style="dim")
            case SpeechStartedMessage():
                self._print(message.timestamp, "(speech started)", "", "", style="dim")
            case SpeechEndedMessage():
                self._print(message.timestamp, "(speech ended)", "", "", style="dim")
            case GlossaryUpdated():
                changes = f"{message.added} added, {message.removed} removed, {message.changed} changed"
                start, new = _clock(message.effective_at), _new_versions(self._layers, message)
                self._say(f"from {start} on listening for {new}: {changes}")
            case Warning():
                # A server speaks of its address's keys; here they are options.
                self._say(f"warning: {message.message.replace('target_lang=', '--target-lang ')}")
            case Metadata():
                self._say(f"{counted(message.hints, 'hint')} in {message.duration:.1f} s of audio")
            case _:
                pass

    def _greet(self, message: Begin) -> None:
        if message.resumed:
            # Whoever keeps the connection has told of it.
            return
        glossary = message.glossary
        self._layers = glossary.id.split(",")
        self._say(
            f"listening for {counted(glossary.terms, 'term')} of {glossary.id} "
            f"({message.profile}, threshold {message.threshold:.2f})"
        )

    def _show_hint(self, message: TermHint) -> None:
        """A row; of one that may still be withdrawn only the first, dim and without a probability."""
        if message.is_final:
            self._hints += 1
            self._print(message.start, message.term, message.translation or "", f"{message.score:.2f}")
            self._interim.pop(message.hint_id, None)
        elif message.rev == 1:
            self._interim[message.hint_id] = message
            self._print(message.start, message.term, message.translation or "", "?", style="dim")

    def _show_withdrawal(self, message: HintRetracted) -> None:
        withdrawn = self._interim.pop(message.hint_id, None)
        if withdrawn is not None:
            self._print(withdrawn.start, withdrawn.term, "(withdrawn)", "", style="dim strike")

    def _print(self, start: float, *cells: str, style: str = "") -> None:
        if not self._has_header:
            self._has_header = True
            self._console.print(_row("time", "term", "translation", "probability", style="bold"))
        self._console.print(_row(_clock(start), *cells, style=style))

    def _say(self, sentence: str) -> None:
        if self._live:
            # Standard error shares the terminal: the clock line makes room, and comes back with the next second.
            self._live.update(Text(""), refresh=True)
        self._note(sentence)

    def heard(self, seconds: float) -> None:
        """Move the clock line on, once a second of audio."""
        if self._live and int(seconds) != self._shown_second:
            self._shown_second = int(seconds)
            self._live.update(
                Text(f"heard {_clock(seconds)}, {counted(self._hints, 'hint')}", style="dim"), refresh=True
            )


def _new_versions(layers: Sequence[str], message: GlossaryUpdated) -> str:
    """The layers that changed, each with its new version."""
    old, new = message.from_version.split(","), message.to_version.split(",")
    if not len(layers) == len(old) == len(new):
        return f"version {message.to_version}"
    moved = [f"{layer} version {now}" for layer, was, now in zip(layers, old, new, strict=True) if was != now]
    return ", ".join(moved) or f"version {message.to_version}"


def _row(*cells: str, style: str = "") -> Table:
    row = Table.grid(padding=(0, 2), expand=True)
    row.add_column(width=9, justify="right")
    row.add_column(ratio=3, overflow="fold")
    row.add_column(ratio=3, overflow="fold")
    row.add_column(width=11, justify="right")
    # Terms are data: brackets in them are not markup.
    row.add_row(*(Text(cell, style=style) for cell in cells))
    return row


def _clock(seconds: float) -> str:
    """Seconds as h:mm:ss.s, hours only where there are some."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{rest // 10:02d}.{rest % 10}"
