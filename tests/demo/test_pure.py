"""The logic of the page in Node.js, without a page."""

import subprocess
from pathlib import Path

from tests.demo.browsers import node

TESTS = Path(__file__).with_name("pure.test.mjs")


def test_the_logic_of_the_page() -> None:
    """Rows, pins, mutes, undo, downloads, training rows, notices: each rule is a test of its own in the module."""
    done = subprocess.run([node(), "--test", str(TESTS)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
