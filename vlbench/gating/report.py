"""A gate run as one report: what was held against what, what moved, and what to do about it."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vlbench.gating.accuracy import tower_title
from vlbench.gating.required import Required
from vlbench.gating.timed import GateResult
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.process.git import is_dirty, revision
from vlbench.record.baseline_files import proposal_path

REMEDIES = {
    Verdict.INACCURATE: "mend the result; a time of a wrong one means nothing{complete}",
    Verdict.MISSING: "bring back what is missing, or say that it is meant to go (`vlbench baseline remove`)",
    Verdict.REGRESSED: "mend what rose; {accept}",
    Verdict.INCONCLUSIVE: "run it again on a quieter machine, or let --allow-inconclusive pass it",
}
"""In the order of the exit codes."""


def report(
    required: Required,
    found: Mapping[Path, GateResult],
    written: Mapping[Path, Path],
    *,
    allow_inconclusive: bool = False,
    enforced: bool = True,
) -> Judged:
    """The report; `written` has, by baseline, the file that would accept what was found."""
    rows = tuple(row for each in found.values() for row in each.rows)
    notes = [*required.notes, *(note for each in found.values() for note in each.notes)]
    for path, each in found.items():
        verdicts = {row.verdict for row in each.rows}
        if Verdict.IMPROVED in verdicts and Verdict.REGRESSED not in verdicts:
            notes.append(f"better than accepted: {_accept(path, written)} keeps it from being lost unseen")
        stale = proposal_path(path)
        if path not in written and stale.exists():
            notes.append(f"{stale} is from an earlier run, and this one found nothing to accept: remove it")
    return Judged(
        command="gate",
        before=_origin(required),
        after=_here(),
        rows=rows,
        notes=tuple(notes),
        written=", ".join(map(str, written.values())) or None,
        remedy=_remedy(required, found, written, allow_inconclusive),
        allow_inconclusive=allow_inconclusive,
        enforced=enforced,
    )


def unjudged(reason: str) -> Judged:
    """The report of a run that enforces nothing and could judge nothing."""
    row = JudgedRow.missing("what must be judged", "counters", reason)
    return Judged(command="gate", before="nothing", after=_here(), rows=(row,), enforced=False)


def _remedy(
    required: Required, found: Mapping[Path, GateResult], written: Mapping[Path, Path], allow_inconclusive: bool
) -> str | None:
    verdicts = {row.verdict for each in found.values() for row in each.rows if row.gates}
    if allow_inconclusive:
        verdicts.discard(Verdict.INCONCLUSIVE)
    accepts = " and ".join(_accept(path, written) for path in written) or 'say so in the marker: `accepted="who: why"`'
    words = next((words for verdict, words in REMEDIES.items() if verdict in verdicts), "")
    return words.format(accept=f"or, if that is meant, {accepts}", complete=_complete(required, found)) or None


def _complete(required: Required, found: Mapping[Path, GateResult]) -> str:
    """How to store results that are meant: of towers that are held against stored ones alone."""
    commands = []
    for path, each in found.items():
        baseline = required.proposable(path)
        stored = {tower_title(outputs.tower) for outputs in baseline.outputs} if baseline else set()
        if any(row.verdict is Verdict.INACCURATE and row.cell in stored for row in each.rows):
            commands.append(f'`vlbench baseline complete {path} --outputs --reason "..."`')
    how = " and ".join(commands)
    return f"; if it is meant to change, {how} stores it, and counters are judged after that" if how else ""


def _accept(path: Path, written: Mapping[Path, Path]) -> str:
    goal = written.get(path)
    option = "" if goal in (None, proposal_path(path)) else f" --from {goal}"
    return f'`vlbench baseline accept {path}{option} --reason "..."`'


def _origin(required: Required) -> str:
    where = f" of {required.base.words}" if required.base else ""
    if len(required.baselines) > 1:
        return f"{len(required.baselines)} baselines{where} ({', '.join(map(str, required.baselines))})"
    ((path, baseline),) = required.baselines.items()
    last = baseline.accepted[-1]
    return f"{path}{where}, {last.what} on {last.date:%Y-%m-%d} by {last.by}: {last.reason.rstrip('.')}"


def _here() -> str:
    """What is measured, in words, without importing torch."""
    at = revision()
    try:
        torch = f"torch {version('torch')}"
    except PackageNotFoundError:
        torch = "no torch"
    state = " with uncommitted changes" if is_dirty() else ""
    return f"{f'revision {at[:9]}{state}' if at else 'this folder'}, {torch}"
