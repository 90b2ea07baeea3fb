import json
from dataclasses import replace

import pytest

from app.replay_comparison import HintDifference, Product, as_json, differences, hints_in, products
from streaming.wire.message_parts import AlternativePart, LatencyPart
from streaming.wire.messages import HintRetracted, ServerMessage, SpeechStartedMessage, TermHint, TermMap


def _hint(number: int, **more: object) -> TermHint:
    hint = TermHint(
        seq=10 + number,
        hint_id=f"h{number}",
        rev=1,
        is_final=True,
        term=f"term {number}",
        translation="Wort",
        entry_id=f"talks:{number}",
        start=float(number),
        end=number + 0.5,
        start_sample=16_000 * number,
        end_sample=16_000 * number + 8000,
        emitted=number + 1.0,
        score=0.9,
        raw_similarity=None,
        rank=1,
        occurrence=1,
        glossary_version="v1",
        alternatives=(AlternativePart(term="rival", translation=None, score=0.2),),
        latency_ms=LatencyPart(since_term_end=500, encode=12),
    )
    return replace(hint, **more)  # type: ignore[arg-type]


def test_numbers_clocks_and_last_digits_are_no_difference() -> None:
    """The place in the stream of messages, wall-clock times and rounding do not make another hint."""
    other = _hint(
        1,
        seq=99,
        hint_id="h7",
        score=0.9004,
        latency_ms=LatencyPart(since_term_end=500),
        glossary_version="v2",
        alternatives=(AlternativePart(term="rival", translation=None, score=0.2003),),
    )
    assert differences([_hint(1)], [other]) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score", 0.902),
        ("translation", None),
        ("emitted", 2.5),
        ("occurrence", 2),
        ("raw_similarity", 0.5),
        ("alternatives", ()),
        ("alternatives", (AlternativePart(term="rival", translation=None, score=0.3),)),
    ],
)
def test_any_other_field_is_a_difference(name: str, value: object) -> None:
    """What a listener or a translation system can see counts, and the field is named."""
    (found,) = differences([_hint(1)], [_hint(1, **{name: value})])
    assert (found.kind, found.fields, found.hint) == ("changed", (name,), _hint(1))


def test_one_hint_less_and_one_more_are_told_alone() -> None:
    """A hint in the middle that is missing, or too much, makes no other hint differ, though ids shift."""
    three = [_hint(1), _hint(2), _hint(3)]
    two = [_hint(1), _hint(3, hint_id="h2")]
    assert differences(three, two) == [HintDifference("missing", _hint(2), None)]
    assert differences(two, three) == [HintDifference("extra", None, _hint(2))]


def test_another_entry_at_the_same_place_is_missing_and_extra() -> None:
    """Two entries are never one changed hint."""
    other = _hint(1, entry_id="talks:99")
    assert [(each.kind, each.hint) for each in differences([_hint(1)], [other])] == [
        ("missing", _hint(1)),
        ("extra", other),
    ]


def test_a_withdrawal_is_of_its_hint() -> None:
    """Withdrawals are compared by the hint that they withdraw, not by its number."""
    one: list[Product] = [_hint(1), HintRetracted(seq=12, hint_id="h1", reason="superseded")]
    withdrawn = HintRetracted(seq=15, hint_id="h4", reason="superseded")
    assert differences(one, [_hint(1, hint_id="h4"), withdrawn]) == []
    (found,) = differences(one, [_hint(1, hint_id="h4"), replace(withdrawn, reason="expired")])
    assert found.fields == ("reason",)


def test_term_maps_are_compared_by_their_terms() -> None:
    """A chunk whose terms differ is told; their last digits are not."""
    one = TermMap(seq=1, start=0.0, end=0.96, terms=(("term", "Wort", 0.9),))
    assert differences([one], [replace(one, terms=(("term", "Wort", 0.9002),))]) == []
    (found,) = differences([one], [replace(one, terms=())])
    assert (found.kind, found.fields) == ("changed", ("terms",))


def test_only_hints_are_compared() -> None:
    """Bounds of speech and other messages are passed over."""
    messages: list[ServerMessage] = [SpeechStartedMessage(seq=1, timestamp=0.1), _hint(1)]
    assert products(messages) == [_hint(1)]


def test_a_difference_is_written_with_both_hints() -> None:
    """In JSON both hints stand as they were on the wire."""
    (found,) = differences([_hint(1)], [_hint(1, score=0.5)])
    written = json.loads(json.dumps(as_json(found)))
    assert (written["kind"], written["fields"]) == ("changed", ["score"])
    assert (written["recorded"]["type"], written["recorded"]["score"], written["replayed"]["score"]) == (
        *("TermHint", 0.9),
        0.5,
    )


def test_hints_are_counted_once_they_are_final() -> None:
    """One that was told before it was sure, and withdrawn or told again, is one hint or none; a term map has its terms."""
    told: list[Product] = [
        _hint(1, is_final=False),
        _hint(1),
        _hint(2, is_final=False),
        HintRetracted(seq=3, hint_id="h2", reason="superseded"),
        TermMap(seq=4, start=0.0, end=1.0, terms=(("BERT", None, 0.9), ("encoder", "Kodierer", 0.8))),
    ]
    assert hints_in(told) == 3
