"""From operations to kernels: the table that a calibration learned, and what it says of a count."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from vlbench.record.calibration import Calibration, Entry, read_calibration
from vlbench.record.counted import CountReport
from vlbench.record.counts import Counts, Kind

FOLDER = Path("results/calibration")
"""Where calibrations lie in a checkout; an installed vlbench has them in `vlbench/calibration`."""


@dataclass(frozen=True)
class Modelled:
    """Kernels of a forward, as a table has them."""

    kernels: float
    assumed: float
    """Share of the operations that the table does not have: taken for one of another size, or for one kernel."""


def modelled(counts: Counts, entries: Iterable[Entry]) -> Modelled:
    """What `entries` make of the operations of a count."""
    exact = {(entry.operation, entry.dtype, entry.size): entry for entry in entries}
    kernels = assumed = 0.0
    for kind in counts.kinds:
        entry = exact.get((kind.operation, kind.dtype, kind.size))
        if entry is None:
            assumed += kind.times
            entry = _nearest(kind, exact.values())
        kernels += kind.times * (entry.kernels if entry else 1)
    total = sum(kind.times for kind in counts.kinds)
    return Modelled(kernels, assumed / total if total else 0.0)


def _nearest(kind: Kind, entries: Iterable[Entry]) -> Entry | None:
    """The entry of the same operation and dtype whose size is nearest."""
    alike = [entry for entry in entries if (entry.operation, entry.dtype) == (kind.operation, kind.dtype)]
    return min(alike, key=lambda entry: abs(entry.size.bit_length() - kind.size.bit_length()), default=None)


def find_calibration(profile: str, torch_version: str) -> Calibration | None:
    """The calibration for this profile and this torch, None where nobody made one. Raises UsageError for a bad file."""
    wanted = torch_version.partition("+")[0]
    for folder in (FOLDER, Path(str(files("vlbench") / "calibration"))):
        for path in sorted(folder.glob("*.json")):
            found = read_calibration(path)
            if (found.profile, found.torch_version.partition("+")[0]) == (profile, wanted):
                return found
    return None


def kernel_lines(report: CountReport, cold: bool) -> Iterator[str]:
    """How far the operations of a report stand for kernels, in sentences."""
    forwards = [
        (tower.name, forward.counts)
        for group in report.groups
        for tower in group.towers
        if (forward := tower.cold if cold else tower.warm)
    ]
    if not forwards:
        return
    torch_version = forwards[0][1].key.torch_version
    calibration = find_calibration(report.profile, torch_version)
    if calibration is None:
        yield (
            f"Operations are a model, not calibrated yet for {report.profile} with torch {torch_version}: how many "
            "kernels they are is not measured (vlbench calibrate)."
        )
        return
    yield (
        f"Kernels, modelled after {calibration.gpu} with torch {calibration.torch_version} "
        f"(largest error {calibration.error:.1%}{'' if calibration.out_of_sample else ', in sample'}):"
    )
    for name, counts in forwards:
        found = modelled(counts, calibration.entries)
        yield f"  {name}: {found.kernels:,.0f}; {found.assumed:.1%} of its operations are not in the table"
