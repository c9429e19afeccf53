"""What the gate's accuracy check says of every copy: one trial without time, as a gate run over times begins."""

from __future__ import annotations

from collections.abc import Sequence

from tests.gating.regressions.copies import tower_of
from vlbench.matrix.plan import Plan
from vlbench.record.exactness import Accuracy
from vlbench.record.journal import Journal
from vlbench.record.schema import Dtype
from vlbench.towers.variants import reference_tower, tower_variant
from vlbench.trial.limits import Limits
from vlbench.trial.session import Session
from vlbench.workload.scenario import Item, ScenarioPoint

POINT = ScenarioPoint(scenario="regressions", source="noise", item=(Item(grid="4x6"),))
"""Every check adds videos and ragged images to it."""


def check_accuracy(names: Sequence[str], dtype: Dtype) -> dict[str, Accuracy]:
    """The accuracy of each copy, in fp32 and then in `dtype`, from the current folder. All share one process."""
    variants = [reference_tower(), *(tower_variant(tower_of(name), name=name) for name in names)]
    session = Session([Plan(POINT, "qwen2.5-vl-tiny", dtype, "cpu", variants)], Journal(None, ""), limits=Limits(600))
    session.run(trials=1, seconds=0)
    (group,) = session.groups()
    assert group.trials, group.lost
    found = {each.name: each.accuracy for each in group.trials[0].variants if each.accuracy is not None}
    return {name: found[name] for name in names}
