"""Exit codes: what a script may conclude from how the program ended.

When several apply, the first of this list is returned, for what stands above makes what stands below moot:

1. `INTERNAL` (1): the program itself failed; nothing it printed can be trusted.
2. `USAGE` (2): the command was wrong; nothing was judged.
3. `INACCURATE` (5): a result is wrong, so its time means nothing.
4. `MISSING` (6): something was not measured or cannot be compared, so the rest is not the whole picture.
5. `REGRESSED` (3): all was measured, and something got worse.
6. `INCONCLUSIVE` (4): nothing is proven to be worse, but some rows could not have shown it.
7. `OK` (0): every row was measured and is the same or better.
"""

from collections.abc import Iterable
from enum import IntEnum

from vlbench.judging.verdict import Verdict


class ExitCode(IntEnum):
    """The exit status of every command that judges."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    REGRESSED = 3
    INCONCLUSIVE = 4
    INACCURATE = 5
    MISSING = 6


FAILURES = {  # in order of precedence
    Verdict.INACCURATE: ExitCode.INACCURATE,
    Verdict.MISSING: ExitCode.MISSING,
    Verdict.REGRESSED: ExitCode.REGRESSED,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


def worst(verdicts: Iterable[Verdict], *, allow_inconclusive: bool = False) -> ExitCode:
    """The exit code of a table of verdicts, by the precedence above.

    No verdicts at all is `MISSING`: a check must not pass by measuring nothing. `allow_inconclusive` lets inconclusive
    rows pass and nothing else.
    """
    found = set(verdicts)
    if not found:
        return ExitCode.MISSING
    if allow_inconclusive:
        found.discard(Verdict.INCONCLUSIVE)
    return next((code for verdict, code in FAILURES.items() if verdict in found), ExitCode.OK)
