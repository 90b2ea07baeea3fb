"""What a session said against what its replay says: the hints, and in what they differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from streaming.wire.messages import HintRetracted, ServerMessage, TermHint, TermMap
from streaming.wire.typed_json import JsonObject, JsonValue, write_record

# Contexts that are encoded as a batch and one by one differ in the last digits of a probability.
SCORE_TOLERANCE = 1e-3
# What numbers the messages or times the machine, not what was heard; versions are compared once for all hints.
_NOT_COMPARED = frozenset({"seq", "hint_id", "latency_ms", "glossary_version"})

Product: TypeAlias = TermHint | HintRetracted | TermMap
"""What a listener came for."""


@dataclass(frozen=True, slots=True)
class HintDifference:
    """A hint that only the recording has ("missing"), only the replay ("extra"), or that differs in `fields`."""

    kind: Literal["missing", "extra", "changed"]
    recorded: Product | None
    replayed: Product | None
    fields: tuple[str, ...] = ()

    @property
    def hint(self) -> Product:
        """The recorded one, or else the replayed one."""
        hint = self.recorded if self.recorded is not None else self.replayed
        if hint is None:
            raise ValueError("a difference needs a hint")
        return hint


def products(messages: Iterable[ServerMessage]) -> list[Product]:
    """The hints, withdrawals and term maps among messages."""
    return [message for message in messages if isinstance(message, Product)]


def hints_in(told: Iterable[Product]) -> int:
    """How many hints a listener was given for good: final ones, and the terms of term maps."""
    return sum(
        len(each.terms) if isinstance(each, TermMap) else isinstance(each, TermHint) and each.is_final for each in told
    )


def differences(recorded: Sequence[Product], replayed: Sequence[Product]) -> list[HintDifference]:
    """In what two streams of hints differ, in the order of the audio clock; numbers and wall clocks do not count."""
    found: list[HintDifference] = []
    steps = SequenceMatcher(None, _keys(recorded), _keys(replayed), autojunk=False).get_opcodes()
    for step, first, last, other_first, other_last in steps:
        before, after = recorded[first:last], replayed[other_first:other_last]
        if step == "equal":
            for one, other in zip(before, after, strict=True):
                if fields := _differing(one, other):
                    found.append(HintDifference("changed", one, other, fields))
            continue
        found += [HintDifference("missing", hint, None) for hint in before]
        found += [HintDifference("extra", None, hint) for hint in after]
    return found


def _keys(hints: Sequence[Product]) -> list[tuple[object, ...]]:
    """What makes a hint the same one in both streams."""
    names: dict[str, tuple[object, ...]] = {}
    keys: list[tuple[object, ...]] = []
    for hint in hints:
        match hint:
            case TermHint():
                key: tuple[object, ...] = (hint.entry_id, hint.start_sample, hint.end_sample, hint.is_final)
                names[hint.hint_id] = key
            case HintRetracted():
                key = ("retracted", names.get(hint.hint_id))
            case TermMap():
                key = ("map", hint.start, hint.end)
        keys.append(key)
    return keys


def _differing(one: Product, other: Product) -> tuple[str, ...]:
    first, second = write_record(one), write_record(other)
    names = [name for name in {**first, **second} if name not in _NOT_COMPARED]
    return tuple(name for name in names if not _is_near(first.get(name), second.get(name)))


def _is_near(one: JsonValue, other: JsonValue) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= SCORE_TOLERANCE
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_near, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_near(one[name], other[name]) for name in one)
    return one == other


def as_json(difference: HintDifference) -> JsonObject:
    """A difference with both hints as they were on the wire."""
    written: JsonObject = {"kind": difference.kind, "fields": [*difference.fields]}
    for name, hint in (("recorded", difference.recorded), ("replayed", difference.replayed)):
        if hint is not None:
            written[name] = {"type": hint.TYPE, **write_record(hint)}
    return written
