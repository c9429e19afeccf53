"""What each part of a plan begins and ends with: the machine's card, and a cell of two identical programs."""

import platform
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.matrix.plan import Plan
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.journal import Journal
from vlbench.record.schema import Device
from vlbench.record.shards import Bracket
from vlbench.towers.variants import Variant, reference_tower
from vlbench.trial.limits import Limits
from vlbench.trial.machine import machine_of
from vlbench.trial.session import Session, Watch
from vlbench.workload.scenario import Item, ScenarioPoint

POINT = ScenarioPoint(scenario="a-a", label="", source="noise", item=(Item(grid="10x10"),))
"""About 20 ms a forward on a CPU."""
MODEL, SECONDS, LIMIT = "qwen2.5-vl-tiny", 2.0, 300.0


def bracket(device: Device, *, card: bool, watch: Watch, seconds: float = SECONDS) -> Bracket:
    """The A/A cell in `seconds` of rounds, after the card, which is measured only where it is wanted.

    Raises UsageError where the cell cannot be measured.
    """
    rows = [reference_tower(), Variant("copy", None)]
    plan = Plan(POINT, MODEL, "float32", device, rows, stages=False)
    measured = machine_of(device, card=True)[1]() if card else None
    session = Session([plan], Journal(None, ""), limits=Limits(LIMIT), watch=watch)
    session.run(1, seconds)
    (group,) = session.groups()
    found = [trial.find(row.name) for trial in group.trials for row in rows]
    timings = [each.timings.get("warm") for each in found if each]
    if len(timings) != 2 or timings[0] is None or timings[1] is None:
        why = group.lost[0] if group.lost else "a row has no times"
        raise UsageError(f"the A/A cell, with which each shard begins and ends, cannot be measured: {why}")
    return Bracket(card=measured, reference=timings[0], copy_of_it=timings[1])


def machine_name(fingerprint: Fingerprint) -> str:
    """The host, this start of it where the system tells, and the GPU."""
    started = Path("/proc/sys/kernel/random/boot_id")
    boot = started.read_text()[:8] if started.is_file() else ""
    return " ".join(filter(None, (platform.node() or "a host without a name", boot, fingerprint.gpu_uuid)))
