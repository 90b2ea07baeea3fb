"""Which frames of a context are new: what is worked out frame by frame goes on where the hop before left it."""

from dataclasses import dataclass

from streaming.encoding.encoded_context import EncodedContext


@dataclass(slots=True)
class Carried:
    """How far one stream was carried on: `frame` is the number of the next frame, `stretch` that of its stretch."""

    stretch: int | None = None
    frame: int = 0

    def goes_on(self, encoded: EncodedContext, first_frame: int) -> bool:
        """Whether a context that begins at frame `first_frame` holds all that follows what was heard."""
        same = self.stretch is not None and self.stretch == encoded.stretch
        return same and 0 <= self.frame - first_frame <= encoded.final

    def new_rows(self, encoded: EncodedContext, first_frame: int) -> slice:
        """The rows of such a context that are final and were not carried on yet."""
        return slice(self.frame - first_frame, encoded.final)

    def begin(self, encoded: EncodedContext, first_frame: int) -> None:
        """Nothing was heard before the context."""
        self.stretch, self.frame = encoded.stretch, first_frame

    def move(self, rows: slice) -> None:
        """These rows have been carried on."""
        self.frame += rows.stop - rows.start
