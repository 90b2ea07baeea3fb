"""The entry point: what it takes to load the command line may be interrupted like all else."""

import sys


def main() -> None:
    """Run the command `termcue`; Ctrl-C ends it with 130, also before anything is loaded."""
    try:
        from app.cli import main as command_line
    except KeyboardInterrupt:
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
