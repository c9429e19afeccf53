"""The ways in which a capture goes wrong: symptom, cause, remedy, exit code.

nsys exits with 0 when it wrote no report, an empty one or raw data only, so its exit code is never trusted.
"""

import re
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of a capture, beside those of the gate (0 to 6)."""

    NO_NSYS = 10
    NO_REPORT = 11
    INCOMPLETE = 12
    PROGRAM_FAILED = 13


@dataclass
class CaptureError(Exception):
    """A capture that cannot be used. `detail` holds what nsys or the driver said."""

    code: Exit
    cause: str
    remedy: str
    detail: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.cause}; {self.remedy}"


@dataclass(frozen=True)
class Symptom:
    """Text in the output of nsys, or in the diagnostics of a report, that names the cause."""

    pattern: str
    cause: str
    remedy: str
    code: Exit = Exit.NO_REPORT


SYMPTOMS = (
    Symptom(
        r"perf.?event.?paranoid|AccessDenied|CPU sampling .*(denied|not (allowed|supported))",
        "CPU sampling is not permitted here",
        "pass --sample=none --cpuctxsw=none to nsys (vlbench does) or lower kernel.perf_event_paranoid to 1",
    ),
    Symptom(
        r"ERR_NVGPUCTRPERM",
        "GPU performance counters are reserved for administrators",
        "leave GPU metrics out, or have NVreg_RestrictProfilingToAdminUsers=0 set for the driver",
    ),
    Symptom(
        r"File exists|already exists.*overwrite",
        "a report of that name exists and was not overwritten",
        "choose another --output, or pass --force-overwrite=true to nsys (vlbench does)",
    ),
    Symptom(r"No space left on device", "the disk is full", "free space or choose another --output and TMPDIR"),
    Symptom(
        r"unrecogni[sz]ed option|Illegal .*option|invalid value for option|usage: nsys",
        "this nsys does not know an option of the command",
        "update nsys (2023.1 or newer), or run the command that `--print` shows without the option",
    ),
    Symptom(
        r"CUPTI_ERROR_MULTIPLE_SUBSCRIBERS|another (tool|profiler)|CUPTI.*already (in use|subscribed)",
        "another profiler holds CUPTI (torch profiler, DCGM, a debugger)",
        "stop it and capture again: only one tool can trace CUDA at a time",
        Exit.INCOMPLETE,
    ),
    Symptom(
        r"libdw|importer.*fail|Failed to (import|convert|create .*nsys-rep)|ENOTSUPP|Operation not supported",
        "nsys could not turn its raw data into a report (libdw missing, or a file system without locks)",
        "install libdw1, or set TMPDIR and --output to a local scratch folder",
    ),
)

KILLED = {
    137: "SIGKILL, often out of memory",
    143: "SIGTERM, as sent by --capture-range-end=stop-shutdown or a scheduler",
}


def named(text: str) -> Symptom | None:
    """The first symptom that `text` shows."""
    return next((each for each in SYMPTOMS if re.search(each.pattern, text, re.IGNORECASE)), None)
