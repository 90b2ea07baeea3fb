"""Which entries a version of a glossary holds, as fingerprints: enough to compare two versions."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from streaming.entries import Entry

Fingerprints = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Changes:
    """How many entries were added, removed, and changed in any field, by entry id."""

    added: int
    removed: int
    changed: int


class EntryRegister:
    """Fingerprints of the ids and of the contents of all entries, 16 bytes an entry.

    They are made when they are first asked for, which reads all entries; `prepare` does it beforehand.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries: Sequence[Entry] = entries
        self._known: tuple[Fingerprints, Fingerprints] | None = None

    @classmethod
    def layered(cls, registers: Sequence["EntryRegister"], hidden: Collection[str]) -> "EntryRegister":
        """The register of several glossaries at once, without the `hidden` ids in any but the first that has them."""
        register = cls(())
        left_out = np.sort(_fingerprints(hidden))
        ids, contents = np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        for part in registers:
            part_ids, part_contents = part.prepare()
            fresh = ~_among(part_ids, ids)
            if part is not registers[0]:
                fresh &= ~_among(part_ids, left_out)
            ids, contents = np.concatenate((ids, part_ids[fresh])), np.concatenate((contents, part_contents[fresh]))
            order = np.argsort(ids)
            ids, contents = ids[order], contents[order]
        register._known = ids, contents
        return register

    def __contains__(self, entry_id: str) -> bool:
        ids, _ = self.prepare()
        return bool(_among(_fingerprints([entry_id]), ids)[0])

    def prepare(self) -> tuple[Fingerprints, Fingerprints]:
        """The fingerprints: uint64[n] of the ids, sorted, and of the contents beside them.

        Two threads that ask for the first time make the same ones.
        """
        if self._known is None:
            ids = _fingerprints(entry.entry_id for entry in self._entries)
            contents = _fingerprints(_text(entry) for entry in self._entries)
            order = np.argsort(ids)
            self._known = ids[order], contents[order]
        return self._known

    def changes_to(self, newer: "EntryRegister") -> Changes:
        """What is other in `newer`."""
        ids, contents = self.prepare()
        new_ids, new_contents = newer.prepare()
        stays = _among(new_ids, ids)
        at = np.searchsorted(ids, new_ids[stays])
        return Changes(
            added=int((~stays).sum()),
            removed=int((~_among(ids, new_ids)).sum()),
            changed=int((contents[at] != new_contents[stays]).sum()),
        )


def _fingerprints(texts: Iterable[str]) -> Fingerprints:
    digests = [int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) for text in texts]
    return np.array(digests, np.uint64)


def _text(entry: Entry) -> str:
    """All that an entry says, translations in any order."""
    fields = (
        *(entry.term, sorted(entry.translations.items()), entry.aliases, entry.note, entry.source_lang, entry.domain),
        *(entry.pronunciations, entry.do_not_hint, entry.minimum_probability),
    )
    return repr(fields)


def _among(some: Fingerprints, sorted_all: Fingerprints) -> NDArray[np.bool_]:
    """Which of `some` are in `sorted_all`."""
    if not len(sorted_all):
        return np.zeros(len(some), np.bool_)
    at = np.minimum(np.searchsorted(sorted_all, some), len(sorted_all) - 1)
    found: NDArray[np.bool_] = sorted_all[at] == some
    return found
