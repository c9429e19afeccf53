"""The page docs/regressions.md: who caught what, whose alarms were false, and what was expected wrongly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.gating.regressions.judges import Benchmarked
from tests.gating.regressions.listing import Regression
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import change

Measure = Literal["counters", "accuracy", "time"]
ORDER = (Verdict.INACCURATE, Verdict.MISSING, Verdict.REGRESSED, Verdict.INCONCLUSIVE, Verdict.IMPROVED, Verdict.SAME)
HEADINGS = ("regression", "counters", "accuracy", "times", "pytest-benchmark")


@dataclass(frozen=True)
class Seen:
    """What the judges said of one copy."""

    regression: Regression | None
    """None for an untouched copy."""
    rows: tuple[JudgedRow, ...]
    benchmarked: Benchmarked

    def row(self, measure: Measure) -> JudgedRow | None:
        """The worst row about that."""
        rows = [row for row in self.rows if row.measure == measure]
        return min(rows, key=lambda row: ORDER.index(row.verdict), default=None)

    def verdict(self, measure: Measure) -> Verdict:
        """A cell without a row about its accuracy has passed its check."""
        row = self.row(measure)
        return row.verdict if row else Verdict.SAME


def page(seen: Sequence[Seen], command: str, machine: str, minutes: float) -> str:
    """The page; `machine` is the fingerprint in one line."""
    listed = [each for each in seen if each.regression]
    untouched = [each for each in seen if not each.regression]
    lines = [
        "# Who catches what",
        "",
        "Regressions that were shipped somewhere, made again as edits of the tower that `best` builds. Each is made in"
        " a copy of the package, of which a baseline was stored before. `vlbench gate` judges counters of a tower as"
        " deep as that of 7B and an eighth as wide, on the counting device, accuracy of both, and times of the tiny"
        " tower on this CPU; pytest-benchmark times the same tiny tower, with"
        " `--benchmark-compare-fail=median:5%`.",
        "",
        f"`{command}`: {machine}; {minutes:.0f} minutes.",
        "",
        _line(HEADINGS),
        _line(["---"] * len(HEADINGS)),
        *(_line(_cells(each)) for each in listed),
        _line(["false alarms on the untouched code", *_false_alarms(untouched)]),
        "",
        "*Does not run here*: it changes a way that the tower takes on CUDA alone, so that times on a CPU cannot show"
        " it, and a call would be a false alarm. A result that is wrong has no time.",
        "",
        "## What nobody catches",
        "",
        *(_bullets(_missed(listed)) or ["Nothing."]),
        "",
        "## What was expected otherwise",
        "",
        "What each judge of the gate would say was written down before any of it was run"
        " (`tests/gating/regressions/listed`).",
        "",
        *(_bullets(_surprises(listed)) or ["Nothing."]),
        "",
        "## What they stand for",
        "",
        *_bullets(f"{each.regression.title}: {each.regression.stands_for}" for each in listed if each.regression),
    ]
    return "\n".join(lines) + "\n"


def _cells(seen: Seen) -> list[str]:
    assert seen.regression is not None
    return [
        f"{seen.regression.number}. {seen.regression.title}",
        _counters(seen),
        _accuracy(seen.row("accuracy")),
        _time(seen),
        _called(seen.benchmarked.failed, f"median {change(seen.benchmarked.ratio)}", seen.regression),
    ]


def _counters(seen: Seen) -> str:
    row = seen.row("counters")
    if row is None:
        return "not counted"
    first, *_ = [f"{move.name.replace('_', ' ')} {move.before:,.0f} → {move.after:,.0f}" for move in row.moves] or [""]
    match row.verdict:
        case Verdict.REGRESSED:
            return f"**caught**: {first}"
        case Verdict.IMPROVED:
            return f"missed, and praised: {first}"
        case Verdict.SAME:
            return "missed"
    return f"{row.verdict}: {row.reason}"


def _accuracy(row: JudgedRow | None) -> str:
    if row is None or row.verdict is Verdict.SAME:
        return "passes"
    return f"**caught**: {row.reason}"


def _time(seen: Seen) -> str:
    row = seen.row("time")
    if row is None or row.ratio is None:
        return "no time" if seen.verdict("accuracy") is Verdict.INACCURATE else f"missing: {row.reason if row else '-'}"
    assert seen.regression is not None
    if row.verdict in (Verdict.SAME, Verdict.REGRESSED):
        return _called(row.verdict is Verdict.REGRESSED, change(row.ratio), seen.regression)
    return f"{row.verdict}, {change(row.ratio)}"


def _called(failed: bool, figure: str, regression: Regression) -> str:
    if not regression.runs_on_cpu:
        return f"{'**false alarm**' if failed else 'does not run here'}, {figure}"
    return f"{'**caught**' if failed else 'missed'}, {figure}"


def _false_alarms(untouched: Sequence[Seen]) -> list[str]:
    """For each judge, how often it called code that nobody had touched, faster or slower."""
    quiet = (Verdict.SAME, Verdict.INCONCLUSIVE)
    measures: tuple[Measure, ...] = ("counters", "accuracy", "time")
    alarms = [sum(each.verdict(measure) not in quiet for each in untouched) for measure in measures]
    alarms.append(sum(each.benchmarked.failed for each in untouched))
    return [f"{count} of {len(untouched)}" for count in alarms]


def _missed(seen: Sequence[Seen]) -> Iterator[str]:
    measures: tuple[Measure, ...] = ("counters", "accuracy", "time")
    bad = (Verdict.REGRESSED, Verdict.INACCURATE, Verdict.MISSING)
    for each in seen:
        if each.regression and not any(each.verdict(measure) in bad for measure in measures):
            also = "" if each.benchmarked.failed else ", nor does pytest-benchmark"
            yield f"{each.regression.title}: the gate does not object{also}. {each.regression.expected.why}"


def _surprises(seen: Sequence[Seen]) -> Iterator[str]:
    for each in seen:
        if each.regression is None:
            continue
        expected = each.regression.expected
        accuracy = "inaccurate" if each.verdict("accuracy") is Verdict.INACCURATE else "passed"
        said = {"counters": str(each.verdict("counters")), "accuracy": accuracy}
        wanted = {"counters": str(expected.counters), "accuracy": str(expected.accuracy)}
        if accuracy == "passed":
            said["time"] = {"regressed": "slower"}.get(each.verdict("time"), str(each.verdict("time")))
            wanted["time"] = expected.time_on_cpu
        for judge, word in wanted.items():
            if said[judge] != word:
                yield f"{each.regression.title}: {judge} {said[judge]}, expected {word}."


def _bullets(lines: Iterator[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
