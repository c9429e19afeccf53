"""The command line: one small file per command. Nothing here imports torch before a command needs it."""

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from vlbench.cli import baseline, case, gate, nsys
from vlbench.cli.ab import ab
from vlbench.cli.atlas import atlas
from vlbench.cli.completion import answering_bash
from vlbench.cli.count import calibrate, count
from vlbench.cli.explain import explain
from vlbench.cli.fleet import fleet
from vlbench.cli.history import history
from vlbench.cli.judge import diff, judge
from vlbench.cli.judge_patch import judge_patch
from vlbench.cli.listing import list_things
from vlbench.cli.mcp import mcp
from vlbench.cli.meant import Command, Commands
from vlbench.cli.plan import merge, plan
from vlbench.cli.predict import predict
from vlbench.cli.profile import profile
from vlbench.cli.recommend import recommend
from vlbench.cli.record import record
from vlbench.cli.report import report
from vlbench.cli.reporting import say_aside
from vlbench.cli.run import run, show
from vlbench.cli.self_test import self_test
from vlbench.cli.simulate import simulate
from vlbench.cli.verify import verify
from vlbench.errors import UsageError, name_too_long, nowhere_to_print
from vlbench.process.signals import ending_in_order
from vlbench.version import __version__

app = typer.Typer(
    cls=Commands,
    rich_markup_mode="markdown",  # "rich" would take the defaults in brackets for markup and swallow them
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
    help="Which optimization of a vision tower helps, is it still right, and what did a change break.\n\n"
    "`[tool.vlbench]` in a pyproject.toml, from the current folder upwards, says what is taken where an option is left "
    "out: tower, scenario, gpu (`--as`), cudnn and baselines (the folder).\n\n"
    "- `vlbench count --tower my_tower:make --where`\n- `vlbench run --with best`\n- `vlbench explain churn`",
)

_FIRST = (run, recommend, verify, show, report, judge, ab, count, predict, atlas, diff)
_FURTHER = (calibrate, profile, simulate, record, history, plan, merge, fleet)
"""In the order in which help lists them."""
for command in (*_FIRST, *_FURTHER):
    app.command()(command)
app.command("list")(list_things)
app.command("self-test")(self_test)
app.command("judge-patch")(judge_patch)
app.command()(explain)
app.command()(mcp)
for name, group in {"case": case.app, "gate": gate.app, "baseline": baseline.app, "nsys": nsys.app}.items():
    app.add_typer(group, name=name)
for each in (app, case.app, gate.app, baseline.app, nsys.app):
    for known in each.registered_commands:
        known.cls = Command


def _version(wanted: bool) -> None:
    if wanted:
        print(f"vlbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and end.")
    ] = False,
) -> None:
    pass


SEVERAL = ("--images", "--before", "--after")
"""Options that take all that follows up to the next option, as a shell's `*.json` gives it."""


def repeat_options(arguments: list[str]) -> list[str]:
    """`--images a b` as `--images a --images b`, and `run --plan FILE` as `--plan-file FILE`: what the parser takes."""
    result, option, taken = list[str](), "", 0
    for argument in arguments:
        if result[-1:] == ["--plan"] and result[0] == "run" and not argument.startswith("-"):
            result[-1] = "--plan-file"
        if argument.startswith("-"):
            option, taken = argument, 0
        elif option in SEVERAL:
            taken += 1
            if taken > 1:
                result.append(option)
        result.append(argument)
    return result


def main() -> None:
    """Run the command line; what the user has to mend ends with one sentence and exit code 2 or 6.

    Ctrl-C, SIGTERM and SIGHUP end it in order, with 130, 143 and 129; a reader that closes the pipe, with 141.
    """
    with ending_in_order(), answering_bash():
        try:
            try:
                _check_here()
                app(repeat_options(sys.argv[1:]), prog_name="vlbench")  # also of `python -m vlbench`
            finally:
                if sys.stdout:  # closed from the start it is None
                    sys.stdout.flush()  # here, where it can be told that nothing takes it
        except UsageError as error:
            _end(error)
        except OSError as error:
            if told := name_too_long(error):
                _end(told)
            if isinstance(error, BrokenPipeError):
                _end_unread()
            if not (told := nowhere_to_print(error)):
                raise
            _give_up_printing()
            _end(told)
        except SystemExit as ended:
            if isinstance(ended.__context__, BrokenPipeError):  # the parser met it first, and ends with 1
                _end_unread()
            raise


def _check_here() -> None:
    """Raises UsageError where the current folder was deleted, on which torch ends the process without a word of it."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current folder is no longer there; change to another") from None


def _give_up_printing() -> None:
    """What is still to be printed goes nowhere, so that Python does not try it once more as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_unread() -> NoReturn:
    """As SIGPIPE would: whoever read what is printed has what they wanted."""
    _give_up_printing()
    sys.exit(128 + signal.SIGPIPE)


def _end(error: UsageError) -> NoReturn:
    say_aside(f"error: {error}")
    sys.exit(error.exit_code)
