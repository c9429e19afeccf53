"""A plan of groups made by hand, and what its parts would have found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.record.records import FINGERPRINT, group, results, timed, trial
from vlbench.record.files import write_results
from vlbench.record.plan_file import Needs, PlanLine, sealed
from vlbench.record.schema import Results
from vlbench.record.shards import Bracket, ShardRun
from vlbench.record.timing import Timing

TRIALS = 2


def lines(groups: int, **fields: Any) -> list[PlanLine]:
    """Two trials of each group."""
    given: dict[str, Any] = {
        "scenario": "multi-image",
        "model": "qwen2.5-vl-tiny",
        "dtype": "float32",
        "rows": ("baseline", "exact"),
        "job": "job",
        "seconds": 60.0,
        "needs": Needs(device="cpu", packages=()),
        "vlbench": FINGERPRINT.vlbench,
        "asked": {},
        "command": "vlbench run",
    } | fields
    made = [
        PlanLine(
            line=TRIALS * number + one + 1,
            lines=TRIALS * groups,
            group=number + 1,
            groups=groups,
            point=f"n={number + 1}",
            trial=one + 1,
            trials=TRIALS,
            **given,
        )
        for number in range(groups)
        for one in range(TRIALS)
    ]
    return sealed(made)


def bracket(seconds: float = 0.02) -> Bracket:
    """Five calls of each, of which the copy's take 1 % more."""
    times = tuple(seconds * (1 + 0.001 * number) for number in range(5))
    return Bracket(
        card=None, reference=Timing(seconds=times), copy_of_it=Timing(seconds=tuple(1.01 * each for each in times))
    )


def part(plan: list[PlanLine], shard: str, *numbers: int, seconds: float = 0.02, **fields: Any) -> Results:
    """The results of these groups of a plan, as one machine has them."""
    run = ShardRun(
        plan=plan[0].plan,
        shard=shard,
        groups=numbers,
        machine=f"host-{shard[0]}",
        begin=bracket(seconds),
        end=bracket(seconds),
    )
    found = [
        group(*(trial(timed("exact", 0.9), number=one) for one in range(TRIALS)), point=f"n={number}")
        for number in numbers
    ]
    made = results(*found, **{"shards": (run,)} | fields)
    return unique(made, shard)


def unique(made: Results, shard: str) -> Results:
    """The same with ids that no other part has."""
    groups = tuple(
        each.model_copy(
            update={
                "trials": tuple(
                    one.model_copy(update={"id": f"{one.id}{shard}"}).with_checksum() for one in each.trials
                )
            }
        )
        for each in made.groups
    )
    return made.model_copy(update={"groups": groups}).with_checksum()


def written(folder: Path, **parts: Results) -> list[Path]:
    """A file for each part."""
    paths = [folder / f"{name}.json" for name in parts]
    for path, each in zip(paths, parts.values(), strict=True):
        write_results(each, path)
    return paths
