"""What this machine lacks for a capture, found out without taking one."""

from __future__ import annotations

import fcntl
import glob
import importlib.util
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from vlbench.nsys.failures import Exit
from vlbench.nsys.find import LOOKED, find_nsys, profile_help, version

_NEEDED = ("--capture-range", "--capture-range-end", "--cuda-graph-trace", "--cpuctxsw")


@dataclass(frozen=True)
class Check:
    """One thing looked at. `code`: how a capture would end where it is not `ok`; 0 for a mere note."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    code: int = 0

    def to_dict(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)


def examine() -> list[Check]:
    """Every check, in the order in which a capture would meet them."""
    return [
        *_nsys(),
        _device(),
        _package("torch", "the program to capture runs on it"),
        _nvtx(),
        _scratch(),
        _sampling(),
    ]


def _nsys() -> list[Check]:
    nsys = find_nsys()
    if nsys is None:
        remedy = "install Nsight Systems or set VLBENCH_NSYS; the torch profiler needs neither"
        return [Check("nsys", False, f"not in {', '.join(LOOKED)}", remedy, Exit.NO_NSYS)]
    release = version(nsys)
    checks = [
        Check(
            "nsys",
            bool(release),
            f"{nsys} {release}".strip(),
            "" if release else "it does not run",
            0 if release else Exit.NO_NSYS,
        )
    ]
    help_text = profile_help(nsys)
    lacking = [option for option in _NEEDED if option not in help_text]
    checks.append(
        Check(
            "nsys options",
            not lacking,
            f"lacks {', '.join(lacking)}" if lacking else "all needed ones",
            "update to 2023.1 or newer" if lacking else "",
            Exit.NO_REPORT if lacking else 0,
        )
    )
    if "--discard-environment" not in help_text:
        checks.append(
            Check(
                "environment", False, "this nsys stores all environment variables in the report", "keep reports private"
            )
        )
    return checks


def _device() -> Check:
    nodes = sorted(glob.glob("/dev/nvidia[0-9]*")) or glob.glob("/dev/dxg")
    driver = Path("/proc/driver/nvidia/version")
    if nodes:
        lines = driver.read_text(errors="replace").splitlines() if driver.is_file() else []
        return Check("GPU", True, f"{len(nodes)} device(s); {lines[0] if lines else 'driver version not told'}")
    return Check(
        "GPU",
        False,
        "no NVIDIA device is visible",
        "capture on a GPU machine; reports can be read anywhere",
        Exit.NO_REPORT,
    )


def _package(name: str, why: str) -> Check:
    there = importlib.util.find_spec(name) is not None
    return Check(
        name,
        there,
        "installed" if there else "absent",
        "" if there else f"pip install {name}: {why}",
        0 if there else Exit.PROGRAM_FAILED,
    )


def _nvtx() -> Check:
    if os.environ.get("NVTX_DISABLE") not in (None, "", "0"):
        return Check("nvtx", False, "NVTX_DISABLE is set", "unset it, or the report has no ranges", Exit.INCOMPLETE)
    return _package("nvtx", "ranges come from it")


def _scratch() -> Check:
    """nsys needs a temporary folder in which files can be locked."""
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Check("scratch folder", False, f"{folder}: {error}", "set TMPDIR to a local folder", Exit.NO_REPORT)
    return Check("scratch folder", True, f"{folder} can be written and locked")


def _sampling() -> Check:
    path = Path("/proc/sys/kernel/perf_event_paranoid")
    level = path.read_text().strip() if path.is_file() else "not told"
    return Check("CPU sampling", True, f"not used (perf_event_paranoid is {level})")
