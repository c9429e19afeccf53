"""`vlbench judge`: a verdict on result files that people already have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from vlbench.cli.options import complete_formats, takes
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, compared


@dataclass(frozen=True)
class Options:
    """The options of `vlbench judge`."""

    stray: Annotated[list[str] | None, typer.Argument(hidden=True)] = None
    before: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Result file, or quoted pattern, of one or more runs before. Repeat per file."
        ),
    ] = None
    after: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Result file, or quoted pattern, of one or more runs after. Repeat per file."
        ),
    ] = None
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            autocompletion=complete_formats,
            help="What wrote the files; see `vlbench list formats`. [found out]",
        ),
    ] = None
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Judge only metrics whose name fits, such as 'median_*'. Repeat for more."
        ),
    ] = None
    higher: Annotated[
        list[str] | None,
        typer.Option("--higher-is-better", metavar="NAME", help="More of this metric is better. Repeat for more."),
    ] = None
    lower: Annotated[
        list[str] | None,
        typer.Option("--lower-is-better", metavar="NAME", help="Less of this metric is better. Repeat for more."),
    ] = None
    threshold: Annotated[
        str, typer.Option(metavar="SHARE", help="Change that must not go unseen, 5% or 0.05: unseen is inconclusive.")
    ] = "5%"
    floor: Annotated[
        str, typer.Option(metavar="SHARE", help="Change that counts: the whole interval must lie beyond it.")
    ] = "1%"
    confidence: Annotated[
        str, typer.Option(metavar="SHARE", help="Confidence of the interval; 99% calls one row in a hundred by chance.")
    ] = "99%"
    allow_inconclusive: Annotated[
        bool, typer.Option("--allow-inconclusive", help="End with 0 although rows are inconclusive.")
    ] = False


@reports()
@takes(Options)
def judge(options: Options) -> Sheet:
    """Judge benchmark results before and after a change: improved, same, regressed or inconclusive, and why.

    Reads result files of other tools, CSV samples, and "mean +- std of n runs":
    `vlbench list formats` names them all.

    The run is the evidence, not the samples in it: give three runs a side or
    more. A run is a file, a line of JSON lines, or a value of the CSV's column run.

    Whether more or less is better follows from whole words of a metric's name and
    unit (`tokens/s`, `ms/step`, `accuracy`), and each row says which it is. Where
    they do not say, say it: --higher-is-better NAME, --lower-is-better NAME.

    Ends with 0 if every row is the same or better, 2 if a file or an option is
    wrong, 3 regressed, 4 inconclusive, 5 inaccurate (requests or commands failed),
    6 missing or not comparable; of several the first of 5, 6, 3, 4.
    """
    from vlbench.api.verdicts import judge
    from vlbench.errors import UsageError
    from vlbench.export.comparison import runs_json, runs_parts

    before, after = options.before, options.after
    if options.stray:
        raise UsageError(
            f"{options.stray[0]} belongs to no side; write --before or --after before each file, or quote a pattern"
        )
    if not (before and after):
        raise UsageError(f"{'--after' if before else '--before'} names no file; give the results of both sides")
    found = judge(
        before,
        after,
        reader=options.format_name,
        metric=options.metric,
        higher_is_better=options.higher,
        lower_is_better=options.lower,
        threshold=options.threshold,
        floor=options.floor,
        confidence=options.confidence,
        allow_inconclusive=options.allow_inconclusive,
    )
    judged, floors = found.record, found.floors
    assert floors is not None
    return compared(judged, view=list(runs_parts(judged, floors)), json=lambda: runs_json(judged, floors))
