"""The entry point: what it takes to load the command line may be interrupted like all else."""

import sys
from contextlib import nullcontext

from streaming.terminal import hangups_kept

_SERVERS = frozenset({"serve", "demo"})


def main() -> None:
    """Run the command `termcue`; Ctrl-C ends it with 130, also before anything is loaded."""
    # What SIGHUP asks of a server, one that is only being loaded does anyway; by itself it would end it.
    with nullcontext() if _SERVERS.isdisjoint(sys.argv) else hangups_kept():
        try:
            from app.cli import main as command_line
        except KeyboardInterrupt:
            sys.exit(130)
        command_line()


if __name__ == "__main__":
    main()
