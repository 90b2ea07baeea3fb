"""The logic of the page in Node.js, without a page."""

import subprocess
from pathlib import Path

import pytest

from tests.demo.browsers import chromium, node

TESTS = Path(__file__).with_name("pure.test.mjs")


def test_the_logic_of_the_page() -> None:
    """Rows, pins, mutes, undo, downloads, training rows, notices: each rule is a test of its own in the module."""
    done = subprocess.run([node(), "--test", str(TESTS)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_machine_without_a_browser_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command works on a bare Debian, whose package lists are empty at first; nothing is passed over."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match=r"apt-get update && apt-get install .*chromium fonts-dejavu-core"):
        chromium()
