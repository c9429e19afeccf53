"""`vlbench.verify(where=True)`: the first stage, block and token at which towers part; and `dump=`, stages as files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from vlbench.api.results import Result, Rows
from vlbench.diverging import dump as dumps
from vlbench.diverging.dump import Dump
from vlbench.diverging.hold import Candidate, Fed, hold, stages_of, standards
from vlbench.diverging.probe import PROBE, probe
from vlbench.errors import IncomparableError, UsageError
from vlbench.export.diverged import verdict_of
from vlbench.export.progress import Watcher
from vlbench.implementations.config import MODELS
from vlbench.implementations.preprocessing import Images
from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.matrix.plan import CellFilter, Settings, plans_of
from vlbench.matrix.targets import Target
from vlbench.record.destinations import check_dump
from vlbench.record.divergence import Divergence
from vlbench.trial.accuracy import Input
from vlbench.trial.difference import dtype_name
from vlbench.trial.fitting import check_fits
from vlbench.trial.identity import digest_of_weights
from vlbench.trial.job import VariantJob, job_of
from vlbench.trial.settle import settle
from vlbench.trial.tower_set import TowerSet


@dataclass(frozen=True, repr=False)
class Diverged(Result):
    """Towers, or the dump of one, held against a reference stage by stage."""

    record: tuple[Divergence, ...]
    written: tuple[Path, ...] = ()
    """Files that the stages of a tower were written to."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        pairs = [f"{each.tower} against {each.reference}" for each in self.record]
        return "; ".join(pairs or [f"stages in {', '.join(map(str, self.written))}"])

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        return worst(map(verdict_of, self.record)) if self.record else ExitCode.OK

    def _rows(self) -> Rows:
        """A row per stage, run and tower."""
        return [
            {"tower": each.tower, "dtype": run.dtype, "mode": run.mode}
            | stage.model_dump(exclude={"first"})
            | {"parts": stage.parts, "token": stage.first.words if stage.first else None}
            for each in self.record
            for run in each.runs
            for stage in run.stages
        ]


def dumped(against: str | None) -> Dump | None:
    """The dump in the folder that is named; None for a tower's name. Raises UsageError."""
    if against is None or not (Path(against).is_dir() or against.startswith((".", "/"))):
        return None
    if not Path(against).is_dir():
        raise UsageError(f"--against {against}: no such folder; {dumps.WRITTEN_BY}")
    return dumps.read(Path(against))


def diverge(
    target: Target, settings: Settings, found: Dump | None, named: str, out: Path | None, compare: bool, watch: Watcher
) -> Diverged:
    """Hold what a target has against its first, or the dump `found`, which is called `named`; write stages to `out`.

    Raises UsageError for towers without the stages, and IncomparableError for a dump of others.
    """
    if out:
        check_dump(out)
    (plan,) = plans_of([("verify", [PROBE], target)], CellFilter({}), settings)
    job = job_of(plan, 0, 0.0)
    settle(job.threads)
    watch.say("drawing weights" if settings.weights is None else "reading weights")
    towers = TowerSet(job)
    first, *others = job.variants
    rough = job.dtype != "float32"
    runs = (3 if rough else 1) * compare + (4 if rough else 2) * len(others) * compare + (1 + rough) * bool(out)
    fed = _fed(towers, found, settings.seed, _steps(watch, runs))
    written = tuple(_write(towers, job.variants[-1], fed, out)) if out else ()
    if not compare:
        return Diverged((), written)
    candidates = [Candidate(each.name, partial(_build, towers, each)) for each in others]
    if found:
        candidates = [Candidate(named, dumped=found.stages)]
    against = list(standards(first.name, partial(_build, towers, first), fed, found.stages if found else None))
    return Diverged(tuple(hold(each, first.name, against, fed) for each in candidates), written)


def _build(towers: TowerSet, variant: VariantJob, exact: bool) -> torch.nn.Module:
    return towers.variant(variant, exact=exact)


def _steps(watch: Watcher, of: int) -> Callable[[str], None]:
    done = iter(range(of + 10))

    def step(what: str) -> None:
        watch.say(what)
        if before := next(done):
            watch.steps(min(before, of), of)

    return step


def _fed(towers: TowerSet, found: Dump | None, seed: int, step: Callable[[str], None]) -> Fed:
    reference = towers.reference
    if isinstance(reference.fed, Images):
        raise UsageError(f"{reference.name} is fed whole images, and --where looks at patches with grids; leave it out")
    config = MODELS.get(reference.model or "")
    entry = probe(reference.fed, seed, towers.device, towers.dtype)
    if found:
        if found.dtype != towers.job.dtype:
            raise UsageError(f"--against: the dump is of {found.dtype}, not {towers.job.dtype}; leave --dtype out")
        if found.weights and found.weights != digest_of_weights(towers.weights):
            raise IncomparableError(
                "--against: the dump says that it was made with other weights; give their --weights or --seed"
            )
        if found.pixels.shape[1] != reference.fed.patch_dim:
            told = f"its pixels are {found.pixels.shape[1]} wide, and those of {reference.name}"
            raise IncomparableError(f"--against: {told} {reference.fed.patch_dim}; name the tower that it is of")
        entry = Input(found.pixels.to(towers.device, towers.dtype), found.grid_thw)
    check_fits(reference, towers.towers.values(), entry.grids)
    window = config.window_cells if config and config.window_size else None
    return Fed(entry, reference.fed.merge_size, window, step)


def _write(towers: TowerSet, variant: VariantJob, fed: Fed, out: Path) -> Iterator[Path]:
    about = {"tower": variant.name, "format": "vlbench stages 1", dumps.WEIGHTS: digest_of_weights(towers.weights)}
    for exact in (True, False) if fed.dtype is not torch.float32 else (True,):
        dtype = torch.float32 if exact else fed.dtype
        fed.step(f"{variant.name}, to be written")
        entry = fed.entry.to(dtype)
        stages = stages_of(_build(towers, variant, exact), fed, dtype)
        yield dumps.write(out, dtype_name(dtype), stages, entry.pixels, entry.grid_thw, about)
