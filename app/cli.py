"""The command `termcue`: its group, and the outermost edge where errors become one sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage or rejected input, 130 interrupted. Commands import what is
heavy only when they run, so that `--help` answers at once.
"""

import errno
import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from app.commands.align import align
from app.commands.calibrate import calibrate
from app.commands.demo import demo
from app.commands.doctor import doctor
from app.commands.evaluate import evaluate
from app.commands.export import export
from app.commands.glossaries import glossaries
from app.commands.listen import listen
from app.commands.merge import merge
from app.commands.mine_negatives import mine_negatives
from app.commands.pipeline import pipeline
from app.commands.reindex import reindex
from app.commands.replay import replay
from app.commands.serve import serve
from app.commands.stream import stream
from app.commands.synthesize import synthesize
from app.commands.train import train
from app.commands.validate_audio import validate_audio
from app.config import read_defaults
from app.options import NamedPath
from streaming.errors import SettingError, TermCueError

DONE, FAILED, REJECTED, INTERRUPTED = 0, 1, 2, 130

CURES = {
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room in your quota",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOTDIR: "correct the path",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
}
# Files are written by code that names them; what is left without a name is standard output.
OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EBADF, errno.EIO})
OUR_LOGGERS = ("app", "index_builder", "streaming", "training")
SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Live": (listen, demo, reindex, glossaries, serve, stream, replay, doctor),
    "Training": (
        *(align, synthesize, merge, validate_audio, mine_negatives),
        *(train, pipeline, evaluate, calibrate, export),
    ),
}
EXAMPLES = """\b
Examples:
  termcue listen sample
  termcue listen talk.wav --glossary terms.csv --target-lang de
  termcue demo --glossary terms.csv
  termcue reindex terms.csv --id talks
  termcue serve --glossary talks
  termcue doctor
"""


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"termcue {version('termcue')}")
    except PackageNotFoundError:
        raise SettingError("termcue is not installed, so it has no version; install it: pip install .") from None
    context.exit()


def set_up_logging(level: str) -> None:
    """Log to standard error: ours from `level` up, libraries' only warnings, unless everything is asked for."""
    logging.basicConfig(stream=sys.stderr, format="termcue: %(levelname)s: %(message)s")
    logging.getLogger().setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())


class SectionedGroup(click.Group):
    """Lists its commands by section, in the order in which they are used."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list for each section, all with one column of names."""
        width = max(map(len, self.commands))
        for title, commands in SECTIONS.items():
            rows = [(str(c.name).ljust(width), c.get_short_help_str(formatter.width - 6 - width)) for c in commands]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(
    cls=SectionedGroup,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--config",
    type=NamedPath(),
    envvar="TERMCUE_CONFIG",
    metavar="FILE",
    help="Settings in TOML. [default: termcue.toml, where there is one]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar="TERMCUE_LOG_LEVEL",
    help="What is told on standard error.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@click.pass_context
def cli(context: click.Context, config: Path | None, log_level: str) -> None:
    """Hear live speech and show the glossary terms being spoken, with their translations.

    Every option can also stand in termcue.toml or in a TERMCUE_... variable.
    """
    set_up_logging(log_level)
    group = context.command
    if isinstance(group, click.Group):
        context.default_map = read_defaults(group, config, os.environ)


for section in SECTIONS.values():
    for command in section:
        cli.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; what went wrong is one sentence on standard error."""
    if sys.stdout is None:
        return _told("standard output is closed; send it to a file, or to /dev/null.", FAILED)
    try:
        code = cli.main(args=arguments, prog_name="termcue", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except SettingError as error:
        return _told(str(error), REJECTED)
    except TermCueError as error:
        return _told(str(error), FAILED)
    except OSError as error:
        if error.errno == errno.EPIPE:
            return _output_lost()
        code = _told(_sentence(error), FAILED)
        return _output_lost() if error.errno in OUTPUT_ERRORS and not error.filename else code
    return code if isinstance(code, int) else DONE


def _told(sentence: str, code: int) -> int:
    click.echo(f"termcue: error: {sentence}", err=True)
    return code


def _sentence(error: OSError) -> str:
    """What the system refused, on which file, and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    if not where and error.errno in OUTPUT_ERRORS:
        where = "standard output: "
    cure = CURES.get(error.errno or 0, "check that it is there and its permissions")
    return f"{where}{error.strerror or error}; {cure}."


def _output_lost() -> int:
    """Nothing more can be written, as after `| head`, where the command stops as quietly as others do."""
    # Python flushes standard output once more at exit; that must not fail too.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def main() -> None:
    """Entry point of the command."""
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            # JSON is UTF-8 by definition, and no locale may stop a hint; a file name need not be Unicode at all.
            output.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(run())


if __name__ == "__main__":
    main()
