import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from app.loaded_model import Model
from app.serving import make_recordings_folder, sessions_held, set_up_server_log
from streaming.encoding.block_shape import BlockShape


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """What a server sets up does not outlive its test."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers, root.level = before


def _told(log_format: str, capsys: pytest.CaptureFixture[str]) -> str:
    set_up_server_log(log_format)
    logging.getLogger("streaming.server").warning("%s: über", "s_1", extra={"session": "s_1", "seconds": 1.5})
    return capsys.readouterr().err


def test_lines_of_the_log_have_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    """With its offset, so that logs of several machines can be put together."""
    line = _told("text", capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} termcue: WARNING: s_1: über\n", line)


def test_json_lines_carry_the_fields_of_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, characters as they are."""
    line = _told("json", capsys)
    event = json.loads(line)
    assert "über" in line
    assert (event["level"], event["logger"], event["message"]) == ("WARNING", "streaming.server", "s_1: über")
    assert (event["session"], event["seconds"]) == ("s_1", 1.5)
    assert event["time"]


@pytest.mark.parametrize(
    ("pass_s", "blocks", "least", "most"),
    [(0.02, None, 8, 15), (0.2, None, 1, 1), (3.0, None, 1, 1), (0.005, BlockShape(), 32, 45)],
)
def test_a_slow_machine_holds_few_sessions(
    pass_s: float, blocks: BlockShape | None, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cores at 20 ms a pass: a stream of 3.1 passes a second and half as much again, a third left free."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def encode(context: object, end_sample: int) -> None:
        now[0] += pass_s

    spec, stream = SimpleNamespace(context_samples=48_000, blocks=blocks), SimpleNamespace(encode=encode)
    model = SimpleNamespace(folder=SimpleNamespace(spec=spec), frames=SimpleNamespace(open=lambda: stream), hop_ms=320)
    assert least <= sessions_held(cast(Model, model), threads=2) <= most


def test_folder_of_recordings_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Nothing is left in it but what is recorded; one that is there already serves too."""
    folder = tmp_path / "new" / "recordings"
    for _ in range(2):
        make_recordings_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(folder.iterdir())
