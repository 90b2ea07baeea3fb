"""`python -m training.loop SETTINGS.json`: what torchrun, accelerate launch and Slurm start on every rank."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

import torch.distributed as dist

from streaming.errors import SettingError, TermCueError
from training.loop.launch import INTERRUPTED, REJECTED, outcome_json, train
from training.loop.settings import read_file


def main(arguments: list[str] | None = None) -> int:
    """Train one rank; the exit code is that of `termcue train`."""
    parser = argparse.ArgumentParser(prog="python -m training.loop", description=__doc__)
    parser.add_argument("settings", type=Path, help="what termcue train --show-settings prints")
    parser.add_argument("--outcome", type=Path, help="write how the run ended there, as JSON")
    asked = parser.parse_args(arguments)
    is_first = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(stream=sys.stderr, format="termcue: %(levelname)s: %(message)s", level=logging.WARNING)
    logging.getLogger("training").setLevel(logging.INFO if is_first else logging.WARNING)
    try:
        outcome = train(read_file(asked.settings))
    except KeyboardInterrupt:
        return INTERRUPTED
    except TermCueError as error:
        logging.getLogger("training").error("%s", error)
        return REJECTED if isinstance(error, SettingError) else 1
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    if asked.outcome is not None and is_first:
        asked.outcome.write_text(json.dumps(outcome_json(outcome)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
