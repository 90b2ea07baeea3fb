"""The entry point: what it takes to load the command line may be interrupted like all else."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext

from streaming.terminal import hangups_kept

_SERVERS = frozenset({"serve", "demo"})
# Options before the command that take a value.
_WITH_VALUE = frozenset({"--config", "--log-level"})


def is_server(arguments: Sequence[str]) -> bool:
    """Whether the command in a command line is one that serves."""
    left = iter(arguments)
    for argument in left:
        if argument in _WITH_VALUE:
            next(left, None)
        elif not argument.startswith("-"):
            return argument in _SERVERS
    return False


def main() -> None:
    """Run the command `termcue`; Ctrl-C ends it with 130, also before anything is loaded."""
    # What SIGHUP asks of a server, one that is only being loaded does anyway; by itself it would end it.
    with hangups_kept() if is_server(sys.argv[1:]) else nullcontext():
        try:
            from app.cli import main as command_line
        except KeyboardInterrupt:
            sys.exit(130)
        command_line()


if __name__ == "__main__":
    main()
