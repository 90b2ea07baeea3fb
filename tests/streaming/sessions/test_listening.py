"""What a `Configure` is refused for is told in the words of the wire."""

import pytest

from streaming.decision_config import DecisionConfig
from streaming.index.entry_register import EntryRegister
from streaming.pipeline import Pipeline
from streaming.protocol import Configure, RejectedMessage
from streaming.sessions.listening import Listening
from streaming.sessions.served_glossary import ServedGlossary
from streaming.sessions.session_settings import LATEST


def _nothing_opens(*_: object) -> Pipeline:
    raise AssertionError("no pipeline is asked for")


GLOSSARY = ServedGlossary(
    version="v1",
    terms=1,
    profiles={"booth": DecisionConfig(threshold=0.5)},
    open=_nothing_opens,
    take_over=lambda _: 0,
    register=EntryRegister([]),
)
LISTENING = Listening(
    glossary_id="talks", version=LATEST, glossary=GLOSSARY, source_lang="en", target_lang=None, profile="booth"
)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Configure(max_hints_per_window=-1), "max_hints_per_window = -1 is out of range: give 0..1000"),
        (Configure(threshold=1.5), "threshold = 1.5 is no probability"),
    ],
)
def test_number_out_of_range_is_told_by_its_name_on_the_wire(asked: Configure, said: str) -> None:
    """A client does not know what the decision calls it."""
    with pytest.raises(RejectedMessage, match=said) as refused:
        LISTENING.configured(asked, {"talks": GLOSSARY})
    assert "max_hints_per_hop" not in str(refused.value)
