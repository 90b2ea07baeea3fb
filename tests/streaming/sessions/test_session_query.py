from dataclasses import replace

import pytest

from streaming.errors import SettingError
from streaming.protocol import Begin, Warning
from streaming.session import SessionSettings, open_session
from tests.streaming.scripted_sessions import LIMITS, Desk, ScriptedPipeline, fatal, kinds_of


@pytest.mark.parametrize(
    ("query", "close_code", "field", "named"),
    [
        ("", 4400, "glossary", "acl"),
        ("glossary=acl&volume=11", 4400, "volume", "volume"),
        ("glossary=acl&glossary=acl", 4400, "glossary", "twice"),
        ("glossary=acl&profile=loud", 4400, "profile", "booth, mt"),
        ("glossary=acl&source_lang=fi", 4400, "source_lang", "fi"),
        ("glossary=acl&target_lang=fi", 4400, "target_lang", "de"),
        ("glossary=acl&sample_rate=fast", 4400, "sample_rate", "fast"),
        ("glossary=acl&sample_rate=-1", 4400, "sample_rate", "-1"),
        ("glossary=acl&sample_rate=9999999999", 4400, "sample_rate", "at most 9 digits"),
        ("glossary=acl&sample_rate=1", 4400, None, "resample"),
        ("glossary=acl&channels=8", 4400, None, "8 channels"),
        ("glossary=acl&encoding=opus", 4400, None, "opus"),
        ("glossary=acl&vad_events=maybe", 4400, "vad_events", "maybe"),
        ("glossary=lrec", 4404, "glossary", "lrec"),
        ("glossary=acl,acl", 4400, "glossary", "names 'acl' twice: name each glossary once"),
        ("glossary=acl&version=v6", 4404, "version", "v7"),
    ],
)
def test_an_address_that_asks_for_the_wrong_thing_is_refused(
    desk: Desk, query: str, close_code: int, field: str | None, named: str
) -> None:
    """Unknown keys and values out of range give an error that names them, then the close; no pipeline is made."""
    session, outputs = desk.open(query)
    error = fatal(outputs)
    assert session is None
    assert desk.pipelines == []
    assert (error.seq, error.close_code, error.field) == (0, close_code, field)
    assert named in error.message


def test_an_unknown_parameter_keeps_its_value_secret(desk: Desk) -> None:
    """The value of a key that is not ours may be a secret and is not repeated."""
    _, outputs = desk.open("glossary=acl&secret=hunter2")
    assert "hunter2" not in fatal(outputs).message


def test_a_setting_that_the_pipeline_refuses_is_a_refusal(desk: Desk) -> None:
    """What the composition cannot build from the settings is told in its own sentence."""

    def refuse(_: SessionSettings) -> ScriptedPipeline:
        raise SettingError("no such luck")

    served = {"acl": replace(desk.glossary, open=refuse)}
    session, outputs = open_session("glossary=acl", served, session_id="s", limits=LIMITS)
    assert session is None
    assert fatal(outputs).message == "no such luck"


def test_a_choice_of_translations_is_asked_for(desk: Desk) -> None:
    """A listener who did not choose among several languages is told why hints come without translation."""
    _, outputs = desk.open(target_langs=("de", "zh"))
    assert kinds_of(outputs) == [Begin, Warning]
    assert isinstance(outputs[1], Warning)
    assert "target_lang=de (there are: de, zh)" in outputs[1].message


def test_a_translation_of_unnamed_language_serves_any_wish(desk: Desk) -> None:
    """A glossary that does not name its language cannot contradict the wish."""
    session, _ = desk.open("glossary=acl&target_lang=fi", target_langs=("",))
    assert session is not None
