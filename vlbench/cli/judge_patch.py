"""`vlbench judge-patch`: one verdict, one reason and a reward for a patch."""

from typing import Annotated

import typer

from vlbench.api.arguments import UNREAD
from vlbench.cli.completion import towers
from vlbench.cli.options import CommandOptions, Cudnn, DtypeName, Gpu, Texts
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


class JudgePatchOptions(CommandOptions):
    """The arguments and options of `vlbench judge-patch`."""

    UNREAD = UNREAD["judge_patch"]

    base: Annotated[str, typer.Argument()]
    """The revision that is judged against: a commit, branch or tag."""
    patch: Annotated[str, typer.Argument()]
    """A file with a unified diff, as `git diff` writes it, or a revision; . for the working tree."""
    tower: Annotated[str | None, typer.Option("--tower", autocompletion=towers)] = None
    """The tower to judge, package.module:factory of the repository (its code is run)."""
    scenario: str | None = None
    """What is counted, and timed: a shipped scenario or a .toml file. [single-image]"""
    grid: Annotated[Texts, typer.Option(metavar="TxHxW")] = None
    """In place of a scenario: a picture to count on, in patches; repeatable."""
    gpu: Gpu = None
    cudnn: Cudnn = None
    dtype: DtypeName = "bfloat16"
    seed: int | None = None
    """Draw held-out grids and contents from this. [drawn after the patch was read]"""
    times: Annotated[bool, typer.Option("--times")] = False
    """Time both as well, in lock-step on this machine's CPU."""
    trials: Annotated[int, typer.Option(min=1)] = 5
    """With --times: pairs of processes, so many at a time."""
    budget: Annotated[float, typer.Option(min=1)] = 40
    """With --times: seconds for all of them, at most."""
    timeout: Annotated[float, typer.Option(min=1)] = 300
    """Seconds that any process may take."""


@reports()
def judge_patch(options: JudgePatchOptions) -> Sheet:
    """Judge a patch: one verdict, one reason and a reward from 0 to 1, without a GPU.

    Its result comes first, on grids that are drawn after the patch was read, then its counters, then times where asked.
    Ends with 0 where it is the same or better, 3 where it is worse, 4 where times could not have shown it, 5 where its
    result is wrong, 6 where something could not be judged, 2 for a patch that is refused and for a wrong command.

    - `vlbench judge-patch main fix.patch --tower my_package.vision:make`
    """
    from vlbench.api.patching import judge_patch
    from vlbench.export.patched import patched_sheet

    given = dict(vars(options))
    return patched_sheet(judge_patch(given.pop("base"), given.pop("patch"), **given).record)
