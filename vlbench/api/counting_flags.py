"""What each flag asks of GPUs beside the others, and the spans predicted: a whole set, and that changed by a flag."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import SoFar, Steps, run_job
from vlbench.matrix.candidates import Candidates, candidates
from vlbench.predicting.at_scale import WORKER
from vlbench.predicting.run import by_profile, stored_boards
from vlbench.record.at_scale import Ratios, RowAtScale
from vlbench.record.recommendation import COUNTERS
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
    predicted: dict[str, dict[str, Ratios]] = field(default_factory=dict)
    """By flag and GPU: span without it / span with it."""
    not_predicted: dict[str, str] = field(default_factory=dict)
    """By GPU for which some flag was not predicted: the reason of one."""
    why_not: dict[str, str] = field(default_factory=dict)
    """By flag that was not counted: the reason."""
    seconds: float = 0.0

    def weights(self) -> dict[str, float]:
        """By flag how much it is predicted to move the span, either way."""
        return {
            flag: max(abs(math.log(end)) for band in bands.values() for end in band)
            for flag, bands in self.predicted.items()
        }

    @property
    def cut(self) -> bool:
        """Was there no time for all of it?"""
        return bool(self.why_not)

    def said(self) -> str:
        """A sentence on what was not counted; "" where all was."""
        if not self.why_not:
            return ""
        what = f"all that {len(self.why_not)} flags ask of GPUs" if self.moved else "what flags ask of a GPU"
        return f"Not counted: {what}: {next(iter(self.why_not.values()))} (--no-counters leaves that out)."


def count_flags(
    model: str, start: str, point: Point, boards: Sequence[str], cudnn: str, dtype: Dtype, seconds: float, steps: Steps
) -> Counting:
    """Count the set that is started from and each change of it on a call of full size, within so many seconds.

    Counters are those of the first of the `boards`, and spans are predicted for each. `why_not` says what there was no
    time for, be it all. Raises UsageError for what cannot be counted as asked.
    """
    began, tried = monotonic(), candidates(find_model(model), "cuda", start)
    rows = [tried.whole, *tried.changed.values()]
    towers = tuple(dict.fromkeys(tower_of(model, row) for row in rows))
    asked = by_profile(stored_boards(boards))
    runs: list[SoFar] = []
    for profile, names in asked.items():
        job = CountJob(
            towers=towers, points=(point,), profile=profile, cudnn=cudnn, dtype=dtype, at_scale=True, boards=names
        )
        done, of = len(runs) * len(towers), len(asked) * len(towers)
        left = max(began + seconds - monotonic(), 1.0)
        tell: Steps = lambda more, _, done=done, of=of: steps(done + more, of)  # type: ignore[misc]  # noqa: E731
        run = run_job(job, left, steps=tell, worker=WORKER, partly=True)
        runs.append(replace(run, end=f"counting did not end within its {left:.0f} s") if run.late else run)
    told = f" [{point.label}]" if point.label else ""
    found = Counting(tried, f"{model}, {dtype}, {point.scenario}{told}, as {next(iter(asked))}")
    for run in runs:
        _add(found, run, {flag: tower_of(model, row) for flag, row in tried.changed.items()}, towers[0])
    found.seconds = monotonic() - began
    return found


def _add(found: Counting, run: SoFar, towers: Mapping[str, str], whole_name: str) -> None:
    """What one process said: counters where there are none yet, and its predictions."""
    whole = run.at_scale.get((0, whole_name))
    for flag, name in towers.items():
        tower, inside = run.at_scale.get((0, name)), flag in found.tried.flags
        one, other = counters(whole), counters(tower)
        if whole is None or tower is None or one is None or other is None:
            found.why_not[flag] = (tower and tower.failed) or run.end or "the whole set was not counted"
            continue
        after, before = (one, other) if inside else (other, one)
        moved = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        found.moved.setdefault(flag, moved)
        for kept, changed in zip(whole.predicted, tower.predicted, strict=True):
            ratio = changed.over(kept) if inside else kept.over(changed)
            if ratio is None:
                found.not_predicted[kept.gpu] = kept.failed or changed.failed or ""
                continue
            found.predicted.setdefault(flag, {})[kept.gpu] = ratio


def tower_of(model: str, row: Variant) -> str:
    """A variant of ours as a tower by name."""
    return "+".join([model, *(row.flags or (NO_FLAGS,))])


def counters(row: RowAtScale | None) -> dict[str, int] | None:
    """Those by which flags are judged; None where it was not counted whole."""
    if row is None or row.cold is None or row.warm is None:
        return None
    found = row.warm.model_dump() | {"first_plans": row.cold.attention_plans}
    return {name: found[name] for name in COUNTERS}
