"""README.md keeps its word: its examples import what exists, and its commands are the ones there are."""

import ast
import importlib
import re
from pathlib import Path

import click
import pytest

from app.cli import cli

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
