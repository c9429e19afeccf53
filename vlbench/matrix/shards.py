"""A plan's groups on many machines: which part is whose, and the parts together again.

All trials of a group are of one part, so that no ratio and no vote is between machines.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vlbench.errors import IncomparableError, UsageError
from vlbench.record.fingerprint import Fingerprint, comparable
from vlbench.record.grouping import gathered
from vlbench.record.plan_file import PlanLine
from vlbench.record.schema import CellGroup, Counts, Results
from vlbench.record.shards import ShardRun

Found = tuple[Path, Results]
"""A results file and what it holds."""


def shard_groups(shard: str, groups: int) -> range:
    """The numbers, from 1, of the groups of part `i/n`: every n-th. Raises UsageError."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", shard)
    if match is None:
        raise UsageError(f"--shard {shard!r:.40}: write it as i/n, such as 1/4")
    part, parts = int(match[1]), int(match[2])
    if not 1 <= part <= parts:
        raise UsageError(f"--shard {shard}: parts are counted from 1 to n; give 1/{max(parts, 1)} or another of them")
    check_parts(f"--shard {shard}", parts, groups)
    return range(part, groups + 1, parts)


def check_parts(named: str, parts: int, groups: int) -> None:
    """Raises UsageError, which begins with the option as given, where no plan of so many groups has so many parts."""
    if not 1 <= parts <= groups:
        several = f"{groups} groups, which stay whole; take 1 to {groups} parts"
        raise UsageError(
            f"{named}: the plan has {several if groups > 1 else '1 group, which stays whole; take 1 part'}"
        )


def by_group(lines: Sequence[PlanLine]) -> dict[int, list[PlanLine]]:
    """The lines of each group, by its number."""
    return gathered((line.group, line) for line in lines)


def check_same_counters(shard: str, one: Results, other: Results) -> None:
    """Of a part that ran twice. Raises IncomparableError where a row of it was counted differently."""
    for ours, theirs in zip(one.groups, other.groups, strict=True):
        found, again = _counters(ours), _counters(theirs)
        if ours.key != theirs.key or found != again:
            row = next((each for each in found | again if found.get(each) != again.get(each)), (0, "its groups"))
            told = f"{' '.join(filter(None, ours.key))}, {row[1]} of trial {row[0] + 1}"
            raise IncomparableError(
                f"shard {shard} ran twice, and not the same was counted ({told}: {found.get(row)} and "
                f"{again.get(row)}): what is measured differs from machine to machine or from run to run; find out why"
            )


def _counters(group: CellGroup) -> dict[tuple[int, str], Counts | None]:
    """By trial and row. Trials that confirm are left out: which there are depends on times."""
    return {(trial.number, row.name): row.counts for trial in group.vote() for row in trial.variants}


def merged(expected: Path, lines: Sequence[PlanLine], found: Sequence[Found]) -> Results:
    """The results of all parts as those of one run, in the order of the plan; `command` is that of the first.

    Raises IncomparableError for a part of another plan, version or class of machine, for one that is not complete, for
    a group that ran twice, a row that is not of one package, and a line that did not run, which it names.
    """
    first = found[0][1].fingerprint
    groups: dict[int, tuple[Path, CellGroup]] = {}
    planned = by_group(lines)
    for path, results in found:
        shard = _shard_of(path, results, expected, lines[0], found[0])
        for number, group in zip(shard.groups, results.groups, strict=True):
            _check_group(path, group, planned.get(number, []), expected)
            if number in groups:
                raise IncomparableError(
                    f"{planned[number][0].named} ran twice, in {groups[number][0]} and {path}; give one of the two"
                )
            groups[number] = path, group
    _check_sources(groups.values())
    if missing := [line for line in lines if not _has(groups.get(line.group), line)]:
        raise IncomparableError(_missing(missing, groups, expected))
    return found[0][1].model_copy(
        update={
            "created": max(results.created for _, results in found),
            "fingerprint": _shared([results.fingerprint for _, results in found], first),
            "machine": found[0][1].machine if len(found) == 1 else None,
            "groups": tuple(groups[number][1] for number in sorted(groups)),
            "shards": tuple(shard for _, results in found for shard in results.shards),
        }
    )


def _shard_of(path: Path, results: Results, expected: Path, line: PlanLine, first: Found) -> ShardRun:
    """The part that a file holds. Raises IncomparableError where it does not belong beside the others."""
    if len(results.shards) != 1:
        raise IncomparableError(f"{path}: no part of a plan; give what `vlbench run --plan {expected} --shard` wrote")
    (shard,) = results.shards
    if shard.plan != line.plan:
        raise IncomparableError(
            f"{path}: is of another plan ({shard.plan}, not {line.plan}); give the plan that it ran"
        )
    if not results.complete or shard.end is None:
        again = f"vlbench run --plan {expected} --shard {shard.shard} --out {path} --resume"
        raise IncomparableError(f"{path}: is not complete; go on with `{again}`")
    theirs, ours = (_version(each.fingerprint) for each in (results, first[1]))
    if results.fingerprint.vlbench != line.vlbench or theirs != ours:
        against = f"{ours} in {first[0]}" if theirs != ours else f"{line.vlbench} in the plan"
        raise IncomparableError(f"{path}: was measured by vlbench {theirs}, and {against}; run it with the same")
    if differences := comparable(first[1].fingerprint, results.fingerprint):
        told = "; ".join(differences)
        raise IncomparableError(
            f"{path}: its machine is of another class than that of {first[0]} ({told}); run it there"
        )
    return shard


def _version(fingerprint: Fingerprint) -> str:
    changes = " with changes" if fingerprint.dirty else ""
    return f"{fingerprint.vlbench} {(fingerprint.revision or '')[:9]}".strip() + changes


def _check_group(path: Path, group: CellGroup, lines: Sequence[PlanLine], expected: Path) -> None:
    """Raises IncomparableError where a group is not what its lines say."""
    key = {(line.scenario, line.point, line.model, line.dtype, line.needs.device) for line in lines}
    jobs = {line.job for line in lines}
    if key != {group.key} or any(trial.job not in jobs for trial in group.trials):
        told = " ".join(filter(None, group.key))
        raise IncomparableError(f"{path}: {told} is not as {expected} has it; was one of the two files edited?")


def _check_sources(groups: Iterable[tuple[Path, CellGroup]]) -> None:
    """Raises IncomparableError where a row is of two packages, or of two platforms of one."""
    seen: dict[str, tuple[Path, str | None]] = {}
    for path, group in groups:
        for row in group.rows:
            first, source = seen.setdefault(row.name, (path, row.tower))
            if row.tower != source:
                theirs, ours = (each or "vlbench" for each in (row.tower, source))
                told = f"{path}: {row.name} is of {theirs}, and of {ours} in {first}"
                raise IncomparableError(f"{told}; run all parts with the same")


def _has(found: tuple[Path, CellGroup] | None, line: PlanLine) -> bool:
    return found is not None and any(trial.number == line.trial - 1 for trial in found[1].trials)


def _missing(missing: Sequence[PlanLine], groups: dict[int, tuple[Path, CellGroup]], expected: Path) -> str:
    line, found = missing[0], groups.get(missing[0].group)
    more = f", and {len(missing) - 1} more," if len(missing) > 1 else ""
    lost = f" ({found[0]}: {'; '.join(found[1].lost)})" if found and found[1].lost else ""
    where = f"--shard {line.group}/{line.groups}" if found is None else "--shard of that file, anew,"
    told = f"{line.named}{more} did not run{lost}"
    return f"{told}; `vlbench run --plan {expected}` with {where} measures it"


def _shared(every: Sequence[Fingerprint], first: Fingerprint) -> Fingerprint:
    """The first machine's, without the name of its board where there are several."""
    return first if len({each.gpu_uuid for each in every}) == 1 else first.model_copy(update={"gpu_uuid": None})
