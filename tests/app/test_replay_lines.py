import json
from dataclasses import replace

import pytest

from app.replay_comparison import HintDifference
from app.replay_lines import print_replay
from app.replaying import Circumstance, Replay
from streaming.sessions.recorded_files import RecordingHeader
from streaming.wire.messages import HintRetracted, TermHint, TermMap
from streaming.wire.wire_examples import SERVER_EXAMPLES

HEADER = RecordingHeader(
    schema_version=1,
    session_id="s_8f2c",
    query="glossary=talks",
    model_id="compact-1",
    glossary_version="v1",
    started="2026-10-14T09:12:03.000+00:00",
    termcue="0.1.0",
    protocol=1,
)
HINT = SERVER_EXAMPLES[1]
MAP = TermMap(seq=1, start=0.96, end=1.92, terms=(("BERT", None, 0.9), ("encoder", "Kodierer", 0.8)))


def _replay(*differences: HintDifference) -> Replay:
    return Replay(62.5, 17, 16, (Circumstance("model", "compact-1", "compact-2"),), differences)


def _differences() -> tuple[HintDifference, ...]:
    assert isinstance(HINT, TermHint)
    return (
        HintDifference("missing", HINT, None),
        HintDifference("changed", HINT, replace(HINT, score=0.5, alternatives=()), ("score", "alternatives")),
        HintDifference("extra", None, MAP),
        HintDifference("extra", None, HintRetracted(seq=1, hint_id="h3", reason="superseded")),
    )


def test_each_difference_is_a_line_for_a_human(capsys: pytest.CaptureFixture[str]) -> None:
    """The place, the term and what changed; then the sum."""
    print_replay(HEADER, _replay(*_differences()), is_json=False)
    otherwise, missing, changed, extra, withdrawn, total = capsys.readouterr().out.splitlines()
    assert otherwise == "otherwise model: recorded with compact-1, replayed with compact-2"
    assert missing.split() == ["missing", "12.48", "s", "masked", "language", "model"]
    assert changed.endswith("masked language model: score 0.91 → 0.5, other alternatives")
    assert extra.split() == ["extra", "0.96", "s", "BERT,", "encoder"]
    assert withdrawn.endswith("h3 withdrawn: superseded")
    assert total == "s_8f2c: other hints; 62.5 s of 2026-10-14T09:12:03.000+00:00, 17 hints recorded, 16 replayed"


def test_the_same_hints_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Another model that hears the same is told, and is no difference."""
    print_replay(HEADER, _replay(), is_json=False)
    assert "the same hints" in capsys.readouterr().out


def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """All of it on one line, with both hints of what changed."""
    print_replay(HEADER, _replay(*_differences()), is_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["type"], told["same"], told["session_id"], told["duration"]) == ("Replay", False, "s_8f2c", 62.5)
    assert told["circumstances"] == [{"what": "model", "recorded": "compact-1", "replayed": "compact-2"}]
    assert [each["kind"] for each in told["differences"]] == ["missing", "changed", "extra", "extra"]
    assert told["differences"][1]["recorded"]["score"] == 0.91
