"""`vlbench diff` and `vlbench judge`: a verdict on two sides in files, ours or those of other tools."""

from typing import Annotated

import typer

from vlbench.cli.completion import files, named
from vlbench.cli.options import AllowInconclusive, CommandOptions, Texts
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, compared


class DiffOptions(CommandOptions):
    """The arguments and options of `vlbench diff`."""

    before: Annotated[str, typer.Argument(metavar="A", autocompletion=files())]
    """The file before."""
    after: Annotated[str, typer.Argument(metavar="B", autocompletion=files())]
    """The file after."""
    allow_inconclusive: AllowInconclusive = False


@reports()
def diff(options: DiffOptions) -> Sheet:
    """Judge what two files hold: results of `vlbench run`, baselines, counts of `vlbench count --json`, captures.

    Counts are compared exactly. Times are compared by their trials, five a side, and only within a class of machine;
    across machines and revisions use `vlbench ab`. Two results of another tool, such as pytest-benchmark, are judged as
    `vlbench judge` does: quote a pattern such as 'old-*.json' for three runs a side or more.

    Ends with 0 where all is the same or better, 3 where something got worse, 4 where a row could not have shown it, 5
    where a result is wrong, 6 where something is missing or does not compare, 2 for a wrong command.

    - `vlbench diff before.json after.json`
    - `vlbench diff 'old-*.json' 'new-*.json' --junit verdicts.xml`
    """
    from vlbench.api.verdicts import compare

    return compared(compare(**vars(options)).record)


class Options(CommandOptions):
    """The options of `vlbench judge`; those of `vlbench.judge` have the same names."""

    stray: Annotated[Texts, typer.Argument(hidden=True)] = None
    before: Annotated[Texts, typer.Option(metavar="FILE", autocompletion=files())] = None
    """Result file, or quoted pattern, of one or more runs before. Repeat per file."""
    after: Annotated[Texts, typer.Option(metavar="FILE", autocompletion=files())] = None
    """Result file, or quoted pattern, of one or more runs after. Repeat per file."""
    reader: Annotated[str | None, typer.Option("--format", metavar="NAME", autocompletion=named("formats"))] = None
    """What wrote the files; see `vlbench list formats`. [found out]"""
    metric: Annotated[Texts, typer.Option(metavar="PATTERN")] = None
    """Judge only metrics whose name fits, such as 'median_*'. Repeat for more."""
    compare: Annotated[Texts, typer.Option(metavar="CONDITION")] = None
    """What is compared, such as backend: may differ, and nothing else. Repeat for more."""
    higher_is_better: Annotated[Texts, typer.Option(metavar="NAME")] = None
    """More of this metric is better. Repeat for more."""
    lower_is_better: Annotated[Texts, typer.Option(metavar="NAME")] = None
    """Less of this metric is better. Repeat for more."""
    threshold: Annotated[str, typer.Option(metavar="SHARE")] = "5%"
    """Change that must not go unseen, 5% or 0.05: unseen is inconclusive."""
    floor: Annotated[str, typer.Option(metavar="SHARE")] = "1%"
    """Change that counts: the whole interval must lie beyond it."""
    confidence: Annotated[str, typer.Option(metavar="SHARE")] = "99%"
    """Confidence of the interval; 99% calls one row in a hundred by chance."""
    allow_inconclusive: AllowInconclusive = False


@reports()
def judge(options: Options) -> Sheet:
    """Judge benchmark results before and after a change: improved, same, regressed or inconclusive, and why.

    Reads result files of other tools, what they print as pasted from a pull
    request, accuracies, CSV samples, and "mean +- std of n runs":
    `vlbench list formats` names them all.

    The run is the evidence, not the samples in it: give three runs a side or
    more. A run is a file, a line of JSON lines, a pasted table, or a value of the
    CSV's column run. Of an accuracy, the answers are the evidence.

    Whether more or less is better follows from whole words of a metric's name and
    unit (`tokens/s`, `ms/step`, `accuracy`), and each row says which it is. Where
    they do not say, say it: --higher-is-better NAME, --lower-is-better NAME.

    Ends with 0 if every row is the same or better, 2 if a file or an option is
    wrong, 3 regressed, 4 inconclusive, 5 inaccurate (requests or commands failed),
    6 missing or not comparable; of several the first of 5, 6, 3, 4.

    - `vlbench judge --before old-*.json --after new-*.json`
    - `vlbench judge --before vllm*.jsonl --after sglang*.jsonl --compare backend`
    - `vlbench judge --before a.csv --after b.csv --metric 'median_*' --threshold 3%`
    """
    from vlbench.api.verdicts import judge
    from vlbench.errors import UsageError
    from vlbench.export.comparison import runs_json, runs_parts

    arguments = vars(options).copy()
    if stray := arguments.pop("stray"):
        raise UsageError(
            f"{stray[0]} belongs to no side; write --before or --after before each file, or quote a pattern"
        )
    if not (options.before and options.after):
        raise UsageError(f"{'--after' if options.before else '--before'} names no file; give the results of both sides")
    found = judge(**arguments)
    judged, floors = found.record, found.floors
    assert floors is not None
    return compared(judged, view=list(runs_parts(judged, floors)), json=lambda: runs_json(judged, floors))
