"""Builds the wheel, installs it without extras into a bare environment and streams the bundled sample there.

`make wheel-test` runs it: an editable install shows the checkout's files whether or not the wheel has them, so
only this tells what a user gets. Everything is made anew in the folder given as the only argument.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

MAX_INSTALLED_MB = 650
ABSENT = ("torch", "transformers", "gradio", "safetensors", "onnx")
ROOT = Path(__file__).resolve().parent.parent


def run(*command: str | Path, folder: Path) -> str:
    """Run a command in `folder` with a cache of its own and return its stdout.

    Raises:
        SystemExit: the command failed; its stderr is shown.
    """
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_DATA_HOME": str(folder / "data")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def install_wheel(folder: Path) -> Path:
    """Build the wheel into `folder`, install it into a new environment there and return that environment."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, folder=folder)
    (wheel,) = folder.glob("termcue-*.whl")
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    run(environment / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, folder=folder)
    print(f"wheel: {wheel.stat().st_size / 1e6:.1f} MB")
    return environment


def check_size(environment: Path) -> None:
    """Fail if the installed files are too large or hold a library that only an extra may bring."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    megabytes = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) / 1e6
    print(f"installed, with pip: {megabytes:.0f} MB of at most {MAX_INSTALLED_MB} MB")
    if megabytes >= MAX_INSTALLED_MB:
        sys.exit(f"the base install takes {megabytes:.0f} MB, {MAX_INSTALLED_MB} MB are allowed")
    if present := [name for name in ABSENT if (packages / name).exists()]:
        sys.exit(f"the base install brings {', '.join(present)}: these belong to an extra")


def check_hints(environment: Path, folder: Path) -> None:
    """Fail unless the installed command streams the bundled sample to its end and hints at least one term."""
    lines = run(environment / "bin" / "termcue", "listen", "sample", "--json", folder=folder).splitlines()
    messages = [json.loads(line) for line in lines]
    hints = [message["term"] for message in messages if message["type"] == "TermHint"]
    print(f"hints in the bundled sample: {', '.join(hints)}")
    if not hints or messages[0]["type"] != "Begin" or messages[-1]["type"] != "Metadata":
        sys.exit(f"expected Begin, at least one TermHint and Metadata, got {[m['type'] for m in messages]}")


def main() -> None:
    """Run the three checks in a new folder."""
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = install_wheel(folder)
    check_size(environment)
    check_hints(environment, folder)
    print("The wheel works on its own.")


if __name__ == "__main__":
    main()
