"""`vlbench record`: a serving engine is run, and each call of its vision tower is written down."""

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.completion import files
from vlbench.cli.options import INTERRUPTED
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Column, Columns, Part, Sheet, Words, figure, table_of
from vlbench.judging.exit_codes import ExitCode
from vlbench.process.program import run_program
from vlbench.traffic.engines import VARIABLE

MOMENT = 30.0
"""Seconds that a server has to end in."""
NOTHING = (
    "no call was written down: vLLM and SGLang are heard where vlbench is installed beside them; any other program "
    "says `with vlbench.recording(FILE) as record: tower = record.wrap(tower)`"
)


@reports(judges=False)
def record(
    out: Annotated[
        Path, typer.Argument(metavar="FILE.jsonl", help="Where calls are written.", autocompletion=files(".jsonl"))
    ],
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="What is run.")],
) -> Sheet:
    """Run vLLM or SGLang, and write down grids, dtype, queue and time of each call of its tower, nothing else.

    `--scenario FILE.jsonl` replays them. A process that is not the first has FILE.PID.jsonl. Ends as the command does,
    and with 6 where nothing was called or a file cannot be read.

    - `vlbench record calls.jsonl -- vllm serve Qwen/Qwen2.5-VL-7B-Instruct`
    - `vlbench record calls.jsonl -- python -m sglang.launch_server --model-path Qwen/Qwen2.5-VL-7B-Instruct`
    """
    from vlbench.record.destinations import check_output
    from vlbench.traffic.trace import Summary, summary_of

    if out.suffix != ".jsonl":
        raise UsageError(f"{out}: has to end in .jsonl, by which --scenario knows it; choose such a name")
    check_output(out, str(out))
    before = set(_written(out))
    code = _run(command, out.resolve())
    found, unread = list[Summary](), list[Part]()
    for path in (each for each in _written(out) if each not in before):
        try:
            found.append(summary_of(path))
        except UsageError as error:
            unread.append(Words(str(error), "red"))
    columns: Columns[Summary] = {
        Column("file", left=True): lambda row: str(row.path),
        Column("calls"): lambda row: row.calls,
        Column("images"): lambda row: row.images,
        Column("patches"): lambda row: row.patches,
        Column("seconds"): lambda row: figure(row.seconds, "{:.1f}"),
        Column("missed"): lambda row: row.missed,
    }
    title = "written down; missed: calls whose grids were on a device, or that the file or its disk could not take"
    tables = [table_of("recorded", found, columns, title=title)] if found else []
    last = "" if found or unread else NOTHING
    missing = 0 if found and not unread else int(ExitCode.MISSING)
    return Sheet("vlbench record", [*tables, *unread], exit_code=code or missing, last=last)


def _written(out: Path) -> list[Path]:
    return [path for path in (out, *sorted(out.parent.glob(f"{out.stem}.*{out.suffix}"))) if path.exists()]


def _run(command: list[str], out: Path) -> int:
    """How the command ends; a signal that ends us ends it first."""
    try:
        return run_program(command, {VARIABLE: str(out)}, MOMENT)
    except OSError as error:
        raise UsageError(f"{command[0]}: cannot be run ({error.strerror}); name a program after --") from None
    except KeyboardInterrupt:
        return INTERRUPTED
