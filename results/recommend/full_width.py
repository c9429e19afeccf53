"""Is the set for a CPU as fast as transformers' tower where a tower is wide? `python -m results.recommend.full_width`.

A Qwen2.5-VL tower of width 1,280 with four blocks, random weights, one call of 96 patches, in float32 and bfloat16:
five processes each time the set, transformers' sdpa tower and, where there is one, the floor in shared rounds. It takes
thirteen minutes on two cores. `--preset FILE` takes another set than `best`; `--choose` has `vlbench recommend` choose
one for each dtype first, and keeps it beside the results, which takes fifty minutes in all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from safetensors.torch import save_file

from vlbench.api.recommending import recommend
from vlbench.export.console import view
from vlbench.export.progress import watcher
from vlbench.export.result_tables import stage_table
from vlbench.implementations.config import MODELS
from vlbench.implementations.weights import random_weights
from vlbench.judging.flag_worth import between
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors, Judgement, Verdict
from vlbench.matrix.plan import Plan
from vlbench.matrix.targets import model_target
from vlbench.record.files import read_results, write_results
from vlbench.record.journal import Journal
from vlbench.record.schema import CellGroup, Results
from vlbench.trial.limits import Limits, end_of
from vlbench.trial.machine import fingerprint_of
from vlbench.trial.session import Session
from vlbench.untrusted.console import SafeConsole
from vlbench.workload.scenario import Item, ScenarioPoint

FOLDER = Path(__file__).parent
FILES = (FOLDER / "full-width.json", FOLDER / "chosen.json")
"""What is stored: of the set that is shipped, and of those that were chosen."""
CONFIG = replace(MODELS["qwen2.5-vl-3b"], depth=4, fullatt_block_indexes=(3,))
GRID = "8x12"
POINT = ScenarioPoint(scenario="full-width", label=f"1x{GRID}", source="noise", item=(Item(grid=GRID),))
SECONDS = {"float32": 330.0, "bfloat16": 450.0}
"""Of each dtype, in which a forward takes some 0.3 and 0.1 s of one core, or 1 s without instructions for bfloat16."""
TRIALS = 5
CHOOSING = 1100.0
SHIPPED, PEER, FLOOR = "best", "hf-sdpa", "floor"
ENOUGH = 0.9
"""Of the floor."""


@contextmanager
def checkpoint() -> Iterator[Path]:
    """A folder that holds the tower as a checkpoint."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "width-1280"
        folder.mkdir()
        vision = {"depth": CONFIG.depth, "out_hidden_size": CONFIG.out_hidden_size, "fullatt_block_indexes": [3]}
        (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl", "vision_config": vision}))
        weights = {f"visual.{name}": tensor.contiguous() for name, tensor in random_weights(CONFIG, 0).items()}
        save_file(weights, folder / "model.safetensors")
        yield folder


def plan_of(dtype: str, folder: Path, chosen: str, threads: int) -> Plan:
    """The rows: the reference tower, the set, transformers' tower, and the floor where there is one."""
    from vlbench.api.choosing import if_any

    target = model_target(None, "cpu", dtype, [chosen, PEER], folder)
    assert target.config is not None
    floor = if_any(FLOOR, target.config, "cpu")
    rows = [*target.variants, *([floor] if floor else [])]
    return Plan(POINT, target.model, target.dtype, "cpu", rows, threads=threads, weights=folder)


def measure(plan: Plan, seconds: float) -> CellGroup:
    """Five trials, without a second vote."""
    with watcher(True) as watch:
        watch.announce(f"{plan.dtype}: {seconds:.0f} s")
        limits = Limits(seconds, end_of(time.monotonic(), seconds), f"{seconds:.0f} s")
        session = Session([plan], Journal(None, ""), limits=limits, watch=watch)
        session.vote(TRIALS, seconds, None)
    (group,) = session.groups()
    return group


def report(group: CellGroup, chosen: str) -> bool:
    """Print what the trials say; whether the set is at least as fast as transformers' tower, and near the floor."""
    print(f"\n{group.dtype}: width {CONFIG.hidden_size:,}, {CONFIG.depth} blocks, {POINT.label}, {chosen}")
    judged = between(group, PEER, chosen)
    if judged is None or judged[0].estimate is None:
        print(f"{PEER} and {chosen} were not timed beside each other: {'; '.join(group.lost) or 'no time was left'}")
        return False
    verdict = judged[0].verdict
    words = {Verdict.REGRESSED: "the set is faster", Verdict.IMPROVED: "the set is SLOWER"}.get(verdict, str(verdict))
    print(f"time of {PEER} / time of the set: {_cell(judged)} in {judged[1]} trials")
    print(f"{words}: {judged[0].reason}")
    good = judged[1] >= TRIALS and verdict is not Verdict.IMPROVED
    near = between(group, FLOOR, chosen)
    if near is None or near[0].estimate is None:
        print(f"the floor was not measured: {'; '.join(group.lost) or 'no time was left for its row'}")
        return good
    share = near[0].estimate
    print(f"{share.ratio:.1%} of the floor [{share.low:.1%}, {share.high:.1%}]")
    if share.ratio < ENOUGH:
        print("What is left is outside of products and attention, by stage:")
        SafeConsole().print(view(stage_table(group, summaries(group, Floors()))))
    return good


def full_width_table(files: Sequence[Path] = FILES) -> str | None:
    """What is stored, a row per file and dtype, as a Markdown table; None without any. Raises UsageError."""
    rows = ["| set | dtype | threads | time of hf-sdpa / of the set | trials | time of the floor / of the set |"]
    rows.append("|---|---|--:|--:|--:|--:|")
    machines = []
    for found in (read_results(file) for file in files if file.is_file()):
        rows += map(_row, found.groups)
        machines.append(found.fingerprint.line)
    return "\n".join([*rows, "", *(f"{line}." for line in dict.fromkeys(machines))]) if machines else None


def _row(group: CellGroup) -> str:
    (chosen,) = (row.name for row in group.rows if not row.is_reference and row.name not in (PEER, FLOOR))
    judged, floor = (between(group, other, chosen) for other in (PEER, FLOOR))
    cells = [
        f"`{Path(chosen).name}`",
        group.dtype,
        group.threads,
        _cell(judged),
        judged[1] if judged else 0,
        _cell(floor),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _cell(judged: tuple[Judgement, int] | None) -> str:
    """A ratio with its interval."""
    estimate = judged[0].estimate if judged else None
    return f"{estimate.ratio:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]" if estimate else "not measured"


def main() -> None:
    """Measure, print, and keep the samples; ends with 1 where the set is slower than transformers' tower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default=SHIPPED, help="a preset or a preset file")
    parser.add_argument("--choose", action="store_true", help="choose a set for each dtype first")
    parser.add_argument("--seconds", type=float, help="of each dtype, where the usual ones are too few")
    parser.add_argument("--threads", type=int, default=1, help="of each tower")
    parser.add_argument("--out", type=Path, default=FILES[0])
    given = parser.parse_args()
    groups, good = [], True
    with checkpoint() as folder:
        for dtype in SECONDS:
            chosen = given.preset
            if given.choose:
                chosen = f"{given.out.parent}/width-1280-{dtype}.toml"
                wanted = {"weights": folder, "dtype": dtype, "grid": f"1x{GRID}", "counters": False}
                how = {"threads": given.threads, "budget": CHOOSING, "out": chosen, "force": True}
                print(recommend(**wanted, **how))  # type: ignore[arg-type]
            plan = plan_of(dtype, folder, chosen, given.threads)
            groups.append(measure(plan, given.seconds or SECONDS[dtype]))
            good = report(groups[-1], chosen) and good
    found = Results(
        created=datetime.now(UTC),
        command=" ".join(["python -m results.recommend.full_width", *sys.argv[1:]]),
        fingerprint=fingerprint_of("cpu"),
        groups=tuple(groups),
        complete=all(len(group.trials) == TRIALS for group in groups),
    )
    write_results(found, given.out)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
