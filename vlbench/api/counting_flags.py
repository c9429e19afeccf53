"""What each flag asks of a GPU beside the others: the whole set counted, and that set changed by one flag."""

from dataclasses import dataclass, field
from time import monotonic

from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import Steps, run_job
from vlbench.errors import UsageError
from vlbench.judging.flag_worth import COUNTERS
from vlbench.matrix.candidates import Candidates, candidates
from vlbench.record.at_scale import RowAtScale
from vlbench.record.schema import NO_FLAGS, Dtype
from vlbench.towers.models import find_model
from vlbench.towers.variants import Variant


@dataclass
class Counting:
    """By flag what having it moves."""

    tried: Candidates
    words: str
    """On what it was counted."""
    moved: dict[str, dict[str, int]] = field(default_factory=dict)
    """By flag: counters of the second forward that are not what they are without it, and the plans of the first."""
    why_not: dict[str, str] = field(default_factory=dict)
    """By flag that was not counted: the reason."""
    seconds: float = 0.0

    @property
    def cut(self) -> bool:
        """Was there no time for all of it?"""
        return bool(self.why_not)


def count_flags(
    model: str, start: str, point: Point, profile: str, cudnn: str, dtype: Dtype, seconds: float, steps: Steps
) -> Counting:
    """Count the set that is started from and each change of it on a call of full size, within so many seconds.

    Raises UsageError for what cannot be counted as asked.
    """
    began, tried = monotonic(), candidates(find_model(model), "cuda", start)
    rows = [tried.whole, *tried.changed.values()]
    towers = tuple(dict.fromkeys(tower_of(model, row) for row in rows))
    job = CountJob(
        towers=towers, variants=None, points=(point,), profile=profile, cudnn=cudnn, dtype=dtype, at_scale=True
    )
    so_far = run_job(job, max(seconds, 1.0), steps=steps)
    told = f" [{point.label}]" if point.label else ""
    found = Counting(tried, f"{model}, {dtype}, {point.scenario}{told}, as {profile}", seconds=monotonic() - began)
    counted = {name: so_far.at_scale.get((0, name)) for name in towers}
    whole = counters(counted[tower_of(model, tried.whole)])
    for flag, row in tried.changed.items():
        tower = counted[tower_of(model, row)]
        changed = counters(tower)
        if whole is None or changed is None:
            found.why_not[flag] = (tower and tower.failed) or so_far.end or "the whole set was not counted"
            continue
        after, before = (whole, changed) if flag in tried.flags else (changed, whole)
        found.moved[flag] = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    if not found.moved and found.why_not:
        raise UsageError(f"--budget: {next(iter(found.why_not.values()))}; give more time, or --no-counters")
    return found


def tower_of(model: str, row: Variant) -> str:
    """A variant of ours as a tower by name."""
    return "+".join([model, *(row.flags or (NO_FLAGS,))])


def counters(row: RowAtScale | None) -> dict[str, int] | None:
    """Those by which flags are judged; None where it was not counted whole."""
    if row is None or row.cold is None or row.warm is None:
        return None
    found = row.warm.model_dump() | {"first_plans": row.cold.attention_plans}
    return {name: found[name] for name in COUNTERS}
