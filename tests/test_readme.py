"""README.md keeps its word: its examples import what exists, and its commands are the ones there are."""

import ast
import importlib
import json
import re
from pathlib import Path

import click
import pytest
import soundfile

from app.cli import cli, run
from app.samples import glossary_path, recordings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON_EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("example", PYTHON_EXAMPLES, ids=("embedding", "websocket", "client"))
def test_example_imports_what_exists(example: str) -> None:
    """Every name that an example imports is there."""
    imports = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = importlib.import_module(node.module or "")
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_embedded_it_hears_what_the_command_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example for engineers gives the hints that `termcue listen` gives."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / ".local" / "share" if name == "XDG_DATA_HOME" else tmp_path))
    monkeypatch.chdir(tmp_path)
    samples, rate = soundfile.read(recordings()[-1].path)
    soundfile.write("talk.wav", samples, rate)
    assert run(["reindex", str(glossary_path()), "--id", "talks"]) == 0
    capsys.readouterr()
    # So low that terms are hinted, however the model is calibrated.
    example = PYTHON_EXAMPLES[0].replace('Sensitivity("booth")', 'Sensitivity("booth", threshold=0.1)')
    assert run(["listen", "talk.wav", "--glossary", "talks", "--threshold", "0.1", "--json"]) == 0
    messages = map(json.loads, capsys.readouterr().out.splitlines())
    hints = [(f"{m['term']} {m['translation']}", m["start"], m["score"]) for m in messages if m["type"] == "TermHint"]
    exec(compile(example, "README.md", "exec"), {})
    shown = [line.split(" ") for line in capsys.readouterr().out.splitlines()]
    assert hints
    assert [" ".join(words) for _, *words, _ in shown] == [text for text, _, _ in hints]
    for (start, *_, score), (_, start_s, probability) in zip(shown, hints, strict=True):
        assert (float(start), float(score)) == pytest.approx((start_s, probability), abs=0.01)


def test_every_command_is_described() -> None:
    """README.md names each command of `termcue`, and none that does not exist."""
    named = set(re.findall(r"\btermcue ([a-z][a-z-]*)", README))
    assert named == set(cli.commands)


def test_every_option_named_exists() -> None:
    """README.md names no option that no command has; options of other programs stand on lines that name them."""
    lines = [
        line
        for line in README.splitlines()
        if not re.search(r"\b(pip|curl|ffmpeg|apt-get|torchrun|simuleval|tests/benchmarks)\b", line)
    ]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", "\n".join(lines)))
    groups = [command for command in cli.commands.values() if isinstance(command, click.Group)]
    known = {
        option
        for command in (*cli.commands.values(), *(each for group in groups for each in group.commands.values()))
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert named - {"--help"} <= known


def test_nothing_is_left_to_fill_in() -> None:
    """No placeholder of a draft remains in the pages."""
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "CONTRIBUTING.md"))
    assert re.findall(r"@[A-Z_]+@", pages) == []
