"""Take a capture: run nsys, then believe neither its exit code nor its report before both were checked."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.nsys.child import Sidecar, read_sidecar
from vlbench.nsys.command import (
    DISCARD,
    KEEPS,
    LOOKED,
    Options,
    child_environment,
    export_report,
    find_nsys,
    profile_command,
)
from vlbench.nsys.failures import KILLED, CaptureError, Exit, named
from vlbench.nsys.frames import Capture
from vlbench.nsys.summary import ITERATION, labels
from vlbench.process.program import run_program
from vlbench.record.destinations import check_folder

MOMENT = 3.0
"""Seconds that nsys has to end in."""
_SERIOUS = 2  # severity of a diagnostic from which on it is a warning or an error


@dataclass(frozen=True)
class Taken:
    """A capture that passed its checks."""

    report: Path
    sqlite: Path
    sidecar: Sidecar
    capture: Capture
    notes: tuple[str, ...]


def shown(arguments: Sequence[str], output: Path, options: Options) -> str:
    """The shell line of the capture, for `--print`; works without nsys too."""
    command = profile_command(find_nsys(), output, arguments, options)
    environment = child_environment(written(output)[-1])
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in environment.items()), shlex.join(command)])


def take(arguments: Sequence[str], output: Path, options: Options) -> Taken:
    """Capture `python -m vlbench <arguments>` into `output` + .nsys-rep, .sqlite and .sidecar.jsonl, and check them.

    Raises CaptureError with the cause, the remedy and the exit code.
    """
    nsys = find_nsys()
    if nsys is None:
        raise CaptureError(
            Exit.NO_NSYS,
            f"nsys was not found; looked in {', '.join(LOOKED)}",
            "install Nsight Systems, set VLBENCH_NSYS to its nsys, or use the torch profiler "
            "and read its trace with `vlbench nsys report`",
        )
    check_folder(output.parent, f"--output {output}")
    output.parent.mkdir(parents=True, exist_ok=True)
    report, sqlite, sidecar_file = written(output)
    sidecar_file.unlink(missing_ok=True)
    before = _stamp(report)
    command = profile_command(nsys, output, arguments, options)
    kept = () if f"{DISCARD}=true" in command else (KEEPS,)
    for each in kept:
        print(f"warning: {each}", file=sys.stderr)
    try:
        code, text = _run(command, child_environment(sidecar_file))
    except KeyboardInterrupt:
        for left in (sidecar_file, output.with_name(f"{output.name}.qdstrm")):
            left.unlink(missing_ok=True)
        raise
    sidecar = read_sidecar(sidecar_file)

    fresh = report.is_file() and report.stat().st_size > 0 and _stamp(report) != before
    _check_program(code, sidecar, report if fresh else None)
    if not fresh:
        raise _no_report(report, before, sidecar, code, text)
    _export(nsys, report, sqlite)

    from vlbench.nsys.read import load

    capture = load(sqlite)
    _check_tables(capture)
    notes = (*kept, *_check_iterations(capture, sidecar))
    if code:
        notes = (*notes, f"nsys ended with {code} ({KILLED.get(code, 'unknown reason')}), yet the report is complete")
    return Taken(report, sqlite, sidecar, capture, notes)


def written(output: Path) -> list[Path]:
    """The report, its export, and what the program told beside it."""
    return [output.with_name(f"{output.name}{end}") for end in (".nsys-rep", ".sqlite", ".sidecar.jsonl")]


def _stamp(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_mtime_ns, path.stat().st_ino) if path.is_file() else None


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """How it ended, and what it printed. nsys and what it started end with us, and have a moment to put things away."""
    lines: list[str] = []
    try:
        return run_program(command, environment, MOMENT, lines), "".join(lines)
    except OSError as error:
        cause = f"{command[0]} cannot be run ({error})"
        raise CaptureError(Exit.NO_NSYS, cause, "set VLBENCH_NSYS to a working nsys") from error


def _check_program(code: int, sidecar: Sidecar, report: Path | None) -> None:
    if sidecar.code:
        cause = f"the program itself failed with exit code {sidecar.code}"
        remedy = "run it without nsys first and mend it"
    elif sidecar.started and sidecar.code is None:
        why = KILLED.get(code, "it crashed or was killed")
        cause = f"the program started but never said that it ended (nsys ended with {code}: {why})"
        remedy = "look for a crash, a time limit or too little memory"
    else:
        return
    kept = f" The partial report is {report}." if report else ""
    raise CaptureError(Exit.PROGRAM_FAILED, cause, f"{remedy}.{kept}")


def _no_report(report: Path, before: object, sidecar: Sidecar, code: int, text: str) -> CaptureError:
    symptom = named(text)
    exit_code, cause, remedy = Exit.NO_REPORT, "", "read what nsys said above, and capture again"
    raw = report.with_suffix(".qdstrm")
    if raw.is_file():
        cause = (
            f"only the raw data {raw} was written: nsys could not turn it into a report "
            "(libdw missing, a home folder without file locks, or the importer was killed)"
        )
        remedy = (
            "keep the file; install libdw1 or set TMPDIR and --output to a local scratch folder, "
            f"or import it on another machine with `QdstrmImporter -i {raw.name}`"
        )
    elif symptom:
        exit_code, cause, remedy = symptom.code, symptom.cause, symptom.remedy
    elif report.is_file() and report.stat().st_size == 0:
        cause, remedy = f"{report} is empty", "look for a full disk or a killed nsys, and capture again"
    elif report.is_file() and before is not None:
        cause = f"{report} is left from an earlier capture: this one wrote nothing"
    elif code in KILLED:
        cause = f"nsys was killed before it wrote a report ({KILLED[code]})"
        remedy = "give it more time and memory"
    elif sidecar.no_cuda:
        cause = "the capture range never opened: the program saw no CUDA device"
        remedy = "run on a GPU and with --device cuda (see `vlbench nsys doctor`)"
    elif sidecar.started and not sidecar.windows:
        cause = "the capture range never opened: the program ended without reaching cudaProfilerStart"
        remedy = "capture a command that measures, such as `run`, with at least one round"
    else:
        opened = ", although the program opened the capture range (cudaProfilerStart)" if sidecar.windows else ""
        cause = f"nsys ended with {code} and wrote no report{opened}"
        remedy = "read what nsys said above; a fork()ed worker is not traced: use spawn"
    return CaptureError(exit_code, cause, remedy, _last_lines(text))


def _last_lines(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines()[-5:])


def _export(nsys: Path, report: Path, sqlite: Path) -> None:
    sqlite.unlink(missing_ok=True)
    done = export_report(nsys, report, sqlite)
    if done.returncode or not sqlite.is_file() or not sqlite.stat().st_size:
        raise CaptureError(
            Exit.INCOMPLETE,
            f"{report} was written but `nsys export` failed with {done.returncode}",
            "export it with the nsys that made it; the report is kept",
            _last_lines(done.stdout + done.stderr),
        )


def _check_tables(capture: Capture) -> None:
    """A report that can be counted has launches, and kernels or graph replays."""
    launches = int(capture.api["family"].isin(["launch", "graph_launch"]).sum())
    kernels = int(capture.gpu_ops["kind"].isin(["kernel", "graph"]).sum())
    if launches and kernels:
        return
    serious = tuple(text for severity, text in capture.diagnostics if severity >= _SERIOUS)
    symptom = named("\n".join(serious))
    if symptom and symptom.code == Exit.INCOMPLETE:
        raise CaptureError(symptom.code, symptom.cause, symptom.remedy, serious)
    if launches:
        cause = (
            f"the report has {launches} launches but no kernel: this nsys does not fit the driver or "
            "the GPU, or the trace was lost before it was flushed"
        )
        remedy = "update nsys, synchronize before the end of the window, try --trace cuda-sw,nvtx"
    elif kernels:
        cause = f"the report has {kernels} kernels but no launch, so nothing can be attributed"
        remedy = "capture again with --trace cuda,nvtx"
    else:
        cause = (
            "the report has no kernel and no launch: CUDA tracing did not work in this container or driver, "
            "or the work ran in a process that was not traced"
        )
        remedy = "run `vlbench nsys doctor`, and start workers by spawn, not fork"
    raise CaptureError(Exit.INCOMPLETE, cause, remedy, serious)


def _check_iterations(capture: Capture, sidecar: Sidecar) -> tuple[str, ...]:
    seen = int((labels(capture.ranges) == ITERATION).sum())
    if sidecar.iterations and seen != sidecar.iterations:
        raise CaptureError(
            Exit.INCOMPLETE,
            f"the program counted {sidecar.iterations} iterations, the report has {seen} ranges {ITERATION}",
            "check that the nvtx package is installed, that NVTX_DISABLE is unset and that nsys traces nvtx",
        )
    return () if sidecar.started else ("the program left no sidecar: its exit code and iteration count are not known",)
