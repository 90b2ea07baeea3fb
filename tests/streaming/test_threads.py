"""One stream takes one core."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "kept"), [(None, "1"), ("3", "3")])
def test_blas_is_told_to_use_one_thread(given: str | None, kept: str) -> None:
    """Importing the package asks BLAS for one thread, before numpy is there to ask, unless the user chose a number."""
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    if given is not None:
        environment["OPENBLAS_NUM_THREADS"] = given
    code = "import sys, streaming, os; assert 'numpy' not in sys.modules; print(os.environ['OPENBLAS_NUM_THREADS'])"
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == kept
