"""`vlbench diff`: two files beside each other."""

from __future__ import annotations

from typing import Annotated

import typer

from vlbench.cli.reporting import AllowInconclusive, reports
from vlbench.export.sheet import Sheet, compared


@reports()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="The file before.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The file after.")],
    allow_inconclusive: AllowInconclusive = False,
) -> Sheet:
    """Judge what two files hold: results of `vlbench run`, baselines, counts of `vlbench count --json`, captures.

    Counts are compared exactly. Times are compared by their trials, five a side, and only within a class of machine;
    across machines and revisions use `vlbench ab`. Two results of another tool, such as pytest-benchmark, are judged as
    `vlbench judge` does: quote a pattern such as 'old-*.json' for three runs a side or more.

    Ends with 0 where all is the same or better, 3 where something got worse, 4 where a row could not have shown it, 5
    where a result is wrong, 6 where something is missing or does not compare, 2 for a wrong command.
    """
    from vlbench.api.verdicts import compare

    return compared(compare(before, after, allow_inconclusive=allow_inconclusive).record)
