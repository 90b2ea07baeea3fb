"""What a human is shown of a report."""

from index_builder.formats import GlossaryWarning
from index_builder.report import SHOWN_OF_A_KIND, summed_up


def test_many_warnings_of_a_kind_are_summed_up() -> None:
    """Of each kind the first 20 are shown and the others counted; the order stays."""
    many = [GlossaryWarning(f"g:{number}", "short", "x") for number in range(SHOWN_OF_A_KIND + 5)]
    few = [GlossaryWarning("", "comment", "y")] * SHOWN_OF_A_KIND
    shown = list(summed_up([*many, *few]))
    assert shown[:-1] == [*many[:SHOWN_OF_A_KIND], *few]
    assert shown[-1].message == "and 5 more warnings of the kind short; all of them: --json"
    assert list(summed_up(few)) == few
