"""`vlbench.case`: a published result, re-enacted as far as this machine allows, claim by claim."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vlbench.api.counts import count_job, counted
from vlbench.api.results import Result, Rows
from vlbench.api.running import run
from vlbench.errors import UsageError, check_choice
from vlbench.export.progress import Shown, Watcher, watcher
from vlbench.judging.claims import CaseReport, judge_claim
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.summary import Summary, summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.words import number_of
from vlbench.matrix.seams import NAIVE
from vlbench.record.counted import CountedTower
from vlbench.record.counts import Tally
from vlbench.record.schema import Device
from vlbench.towers.models import DEFAULTS, find_device, find_model
from vlbench.towers.variants import parse_variant
from vlbench.version import __version__
from vlbench.workload.cases import Case, Counting, Timing, load_case
from vlbench.workload.library import load_scenario
from vlbench.workload.seams import find_seam_case

GPU = "sm_90"
"""What counts are made as: the published results are of Hopper, or name no machine."""
ROW_SECONDS, START_SECONDS = 3, 5
"""About what a tower of 7B takes to count on one core, and a process to start."""
QUICK = 1
"""Trials, and one more over what stands out: two processes say that something is faster, and a vote that it is not."""


@dataclass(frozen=True, repr=False)
class Enacted(Result):
    """A published result, claim by claim."""

    record: CaseReport

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return self.record.title

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        return self.record.exit_code

    def _rows(self) -> Rows:
        return [each.model_dump(mode="json") for each in self.record.found]


def case(
    name: str, *, budget: float | None = None, device: str = "auto", progress: bool | Callable[[str], None] = True
) -> Enacted:
    """Count and time what a published result claims, and say of each claim how it fares here.

    `name` is one of `vlbench case list`, or a file of yours that ends in .toml. Counts are made at full size without a
    GPU, times on the `device`, of which a CPU has a smaller size that the case names; each within `budget` seconds, by
    default those of the case. Raises UsageError.
    """
    found, at = checked_case(name), find_device(device)
    here = [each for each in found.time if at == "cuda" or each.device != "cuda"]
    if budget is not None:
        here = [each.model_copy(update={"seconds": budget}) for each in here]
    with watcher(progress) as watch:
        rows = sum(len(found.steps(each)) for each in found.count)
        seconds: float = rows * ROW_SECONDS + (len(found.count) + len(here)) * START_SECONDS
        seconds += sum(each.seconds for each in here)
        watch.say(f"{name}: {number_of(len(found.claim), 'claim')}, about {seconds:.0f} s")
        towers = {key: tower for each in found.count for key, tower in _count(found, each, watch)}
    timed: dict[tuple[str, str], Summary] = {}
    machines: dict[str, str] = {}
    for each in here:
        machines[each.name], rows_of = _time(found, each, at, progress)
        timed |= {(each.name, of): row for of, row in rows_of.items()}
    wanted = [claim.timed for claim in found.claim if claim.timed and claim.timed.at in machines]
    tallies: dict[str, dict[str, Tally | None]] = {each.name: {} for each in found.count}
    for (where, of), tower in towers.items():
        tallies[where][of] = tower.warm.counts.total if tower.warm and tower.complete else None
    report = CaseReport(
        case=name,
        title=found.title,
        source=found.source,
        about=found.about,
        vlbench=__version__,
        profile=GPU,
        counted=tallies,
        found=tuple(judge_claim(each, towers, timed, machines) for each in found.claim),
        models={each.name: each.model for each in found.count},
        inaccurate=tuple(of for (_, of), row in timed.items() if row.judgement.verdict is Verdict.INACCURATE),
        without_times=tuple(by.of for by in wanted if not ((row := timed.get((by.at, by.of))) and row.estimate)),
    )
    return Enacted(report.with_checksum())


def checked_case(name: str) -> Case:
    """The case, in which all sets can be counted and all rows can be timed. Raises UsageError for what does not exist,
    before anything is measured."""
    found = load_case(name)
    try:
        for each in found.count:
            count_job(each.model, [], None, list(each.grid), GPU)
            for variant in found.steps(each).values():
                parse_variant(variant, find_model(each.model), "cuda")
        for timing in found.time:
            if timing.scenario:
                if len(points := load_scenario(timing.scenario).points("cuda")) != 1:
                    raise UsageError(f"scenario {timing.scenario} has {len(points)} points; name one that has one")
                for name_of in timing.sets:
                    parse_variant(found.variant(name_of), find_model(DEFAULTS["cuda"][0]), "cuda")
                continue
            seam = find_seam_case(timing.seam)
            check_choice("its size", timing.size, seam.sizes)
            for by in (claim.timed for claim in found.claim if claim.timed and claim.timed.at == timing.name):
                check_choice("its row", by.of, [flag for one in seam.seams for flag in one.flags])
    except UsageError as error:
        raise UsageError(f"case {name}: {error}") from None
    return found


def _count(found: Case, what: Counting, watch: Watcher) -> Iterator[tuple[tuple[str, str], CountedTower]]:
    """The towers of one counting, under their names in the case; the reference tower is one only where it is named."""
    towers = {name: _tower_of(what.model, variant) for name, variant in found.steps(what).items()}
    job = count_job(list(dict.fromkeys(towers.values())), [], None, list(what.grid), GPU)
    (group,) = counted(job.model_copy(update={"further": False}), watch.steps).groups
    by_tower = {each.tower: each for each in group.towers}
    for name, tower in towers.items():
        yield (what.name, name), by_tower[tower]


def _tower_of(model: str, variant: str) -> str:
    parsed = parse_variant(variant, find_model(model), "cuda")
    return model if parsed.flags is None else parsed.tower or f"{model}+{variant}"


def _time(found: Case, what: Timing, device: Device, progress: Shown) -> tuple[str, dict[str, Summary]]:
    """What one timing was made on, and its rows by the names that claims have for them."""
    asked = [by for by in (each.timed for each in found.claim) if by and by.at == what.name]
    at = what.device or device
    effort: dict[str, Any] = {"budget": what.seconds, "device": at, "progress": progress}
    effort |= {"trials": Floors().n if any(by.expect == "no change" for by in asked) else QUICK, "card": False}
    if what.scenario:
        rows = {of: _tower_of(DEFAULTS[at][0], found.variant(of)) for of in what.sets}
        measured = run(scenario=[what.scenario], tower=list(rows.values()), **effort)
    else:
        rows = {by.of: by.of for by in asked}
        only = [f"point={what.size}", *(f"variant={row}" for row in (NAIVE, *rows))]
        measured = run(seam=[what.seam], only=only, **effort)
    (group,) = measured.record.groups
    seen = {row.row.name: row for row in summaries(group, Floors())}
    return measured.record.fingerprint.gpu or "a CPU", {of: seen[name] for of, name in rows.items() if name in seen}
