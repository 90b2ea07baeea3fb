"""Words -> their best pronunciation, by the network of the bundled model, each word once."""

from collections.abc import Sequence

from streaming.grapheme import OnnxPronouncer
from streaming.model_folder import BUNDLED, ModelFolder


class Pronunciations:
    """The pronouncing network behind a table of what was asked before; it is opened at the first new word."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}
        self._network: OnnxPronouncer | None = None

    def __call__(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Words in a-z and ' -> ARPAbet symbols of each. Raises ModelError if the bundled model is damaged."""
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if new:
            # Only now, so that processes that read audio open a network of their own.
            self._network = self._network or OnnxPronouncer(ModelFolder.load(BUNDLED), most=1)
            self._known.update((w, found[0]) for w, found in zip(new, self._network.pronounce(new), strict=True))
        return [self._known[word] for word in words]
