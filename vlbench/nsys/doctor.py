"""What this machine lacks for a capture, found out without taking one."""

import fcntl
import glob
import importlib.util
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vlbench.nsys.command import DISCARD, KEEPS, LOOKED, find_nsys, profile_help, version
from vlbench.nsys.failures import Exit

_NEEDED = ("--capture-range", "--capture-range-end", "--cuda-graph-trace", "--cpuctxsw")


@dataclass(frozen=True)
class Check:
    """One thing looked at. `code`: how a capture would end where it is not `ok`; 0 for a mere note."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    code: int = 0


def examine() -> list[Check]:
    """Every check, in the order in which a capture would meet them."""
    torch = _package("torch", "the program to capture runs on it")
    return [*_nsys(), _device(), torch, _nvtx(), _scratch(), _sampling()]


def _nsys() -> list[Check]:
    nsys = find_nsys()
    if nsys is None:
        remedy = "install Nsight Systems or set VLBENCH_NSYS; the torch profiler needs neither"
        return [Check("nsys", False, f"not in {', '.join(LOOKED)}", remedy, Exit.NO_NSYS)]
    release = version(nsys)
    runs = Check("nsys", True, f"{nsys} {release}")
    if not release:
        runs = Check("nsys", False, str(nsys), "it does not run", Exit.NO_NSYS)
    help_text = profile_help(nsys)
    options = Check("nsys options", True, "all needed ones")
    if lacking := ", ".join(option for option in _NEEDED if option not in help_text):
        options = Check("nsys options", False, f"lacks {lacking}", "update to 2023.1 or newer", Exit.NO_REPORT)
    if DISCARD in help_text:
        return [runs, options]
    stored, _, remedy = KEEPS.partition(": ")
    return [runs, options, Check("environment", False, stored, remedy)]


def _device() -> Check:
    nodes = sorted(glob.glob("/dev/nvidia[0-9]*")) or glob.glob("/dev/dxg")
    driver = Path("/proc/driver/nvidia/version")
    if nodes:
        lines = driver.read_text(errors="replace").splitlines() if driver.is_file() else []
        return Check("GPU", True, f"{len(nodes)} device(s); {lines[0] if lines else 'driver version not told'}")
    remedy = "capture on a GPU machine; reports can be read anywhere"
    return Check("GPU", False, "no NVIDIA device is visible", remedy, Exit.NO_REPORT)


def _package(name: str, why: str) -> Check:
    if importlib.util.find_spec(name) is not None:
        return Check(name, True, "installed")
    return Check(name, False, "absent", f"pip install {name}: {why}", Exit.PROGRAM_FAILED)


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
