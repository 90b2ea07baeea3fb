"""The account of a build that a user reads and a script parses: `IndexReport`."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from index_builder.formats.rows import GlossaryWarning, RejectedRow
from index_builder.glossary import Glossary
from index_builder.lint import findings_by_kind
from index_builder.self_test import SelfTest
from streaming.term_index import TermIndex

SHOWN_OF_A_KIND = 20


# What takes away hints or translations, what makes hints wrong, and what is only good to know.
_BY_IMPORTANCE = (
    *("unknown_column", "no_heading", "unparted", "extra_cells", "second_value", "repeated_language"),
    *("hidden_sheet", "formula"),
    *("encoding", "same_sound", "homophone", "pronunciation", "alias", "forms", "long", "conflicting_translation"),
    *("everyday_word", "short", "near_homophone", "missing_translation", "do_not_hint", "minimum_probability"),
    *("another_form", "conflicting_field", "id", "not_compared", "comment"),
)


def by_importance(warnings: Sequence[GlossaryWarning]) -> list[GlossaryWarning]:
    """The warnings, those first that an author should look at first; of like weight in their order."""
    rank = {kind: place for place, kind in enumerate(_BY_IMPORTANCE)}
    return sorted(warnings, key=lambda warning: rank.get(warning.kind, len(rank)))


def summed_up(warnings: Sequence[GlossaryWarning]) -> Iterator[GlossaryWarning]:
    """The warnings for a human: of each kind the first `SHOWN_OF_A_KIND`, the others as a number at the end."""
    seen: Counter[str] = Counter()
    for warning in warnings:
        seen[warning.kind] += 1
        if seen[warning.kind] <= SHOWN_OF_A_KIND:
            yield warning
    for kind, count in seen.items():
        if count > SHOWN_OF_A_KIND:
            message = f"and {count - SHOWN_OF_A_KIND} more warnings of the kind {kind}; all of them: --json"
            yield GlossaryWarning("", kind, message)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What became of the rows of a glossary: rows = entries + merged + rejected.

    `target_langs` are the codes of the translations; "" where a language is not named. `form_kinds` counts the spoken
    forms by how they came from what is written, `readings` tell as what each file was read. `self_test` is None where
    none was asked for.
    """

    id: str
    version: str
    rows: int
    entries: int
    merged: int
    forms: int
    rejected: tuple[RejectedRow, ...]
    warnings: tuple[GlossaryWarning, ...]
    seconds: float
    target_langs: tuple[str, ...] = ()
    form_kinds: Mapping[str, int] = field(default_factory=dict)
    readings: tuple[str, ...] = ()
    self_test: SelfTest | None = None

    @classmethod
    def of(cls, glossary: Glossary, index: TermIndex, seconds: float) -> Self:
        """The report of `index`, built from `glossary` in `seconds`."""
        return cls(
            glossary.name,
            index.version,
            glossary.rows,
            len(glossary.entries),
            glossary.merged,
            len(index.forms),
            glossary.rejected,
            glossary.warnings,
            round(seconds, 3),
            glossary.target_langs,
            dict(Counter(form.kind for form in index.forms).most_common()),
            glossary.readings,
        )

    def as_dict(self) -> dict[str, Any]:
        """The object of `termcue reindex --json`; `findings` counts the warnings by kind."""
        value = asdict(self)
        del value["self_test"]
        return {
            "type": "IndexReport",
            **value,
            "rejected": list(value["rejected"]),
            "warnings": list(value["warnings"]),
            "target_langs": list(value["target_langs"]),
            "readings": list(value["readings"]),
            "findings": findings_by_kind(self.warnings),
            **({"self_test": self.self_test.as_dict()} if self.self_test is not None else {}),
        }

    def to_bytes(self) -> bytes:
        """The content of `report.json`."""
        return (json.dumps(self.as_dict(), ensure_ascii=False, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The reverse of `to_bytes`.

        Raises:
            ValueError: not JSON.
            KeyError, TypeError: not a report.
        """
        value = json.loads(content)
        for derived in ("type", "findings"):
            value.pop(derived, None)
        rejected = tuple(RejectedRow(**row) for row in value.pop("rejected"))
        warnings = tuple(GlossaryWarning(**warning) for warning in value.pop("warnings"))
        target_langs = tuple(value.pop("target_langs", ()))
        counts = [value[name] for name in ("rows", "entries", "merged", "forms")]
        if not all(isinstance(lang, str) for lang in target_langs) or not all(isinstance(n, int) for n in counts):
            raise TypeError("a language is no text or a count is no number")
        readings = tuple(value.pop("readings", ()))
        test = value.pop("self_test", None)
        self_test = None if test is None else SelfTest.from_dict(test)
        return cls(
            rejected=rejected,
            warnings=warnings,
            target_langs=target_langs,
            readings=readings,
            self_test=self_test,
            **value,
        )
