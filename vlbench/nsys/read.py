"""Load a capture, told by its content: nsys report, SQLite export, or torch profiler trace."""

from dataclasses import replace
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.nsys.frames import Capture
from vlbench.untrusted.files import Kind, size_of
from vlbench.untrusted.limits import Limit

CAPTURE = Kind("give an .sqlite or .nsys-rep capture or a torch profiler trace", Limit.DATABASE)
_SQLITE = b"SQLite format 3\x00"
_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
_NOT_IN_TEXT = {*range(32), 127} - set(b"\t\n\f\r\x1b")
_HEAD = 1 << 16  # in so many bytes of a report there is something that no text has


def load(path: str | Path) -> Capture:
    """Read a capture into frames.

    `path` is an SQLite export, a `.nsys-rep` report (exported beside it where nsys is installed and no newer
    export lies there), or a torch profiler trace (`.json`, `.json.gz`). Raises UsageError with the remedy for
    anything else.
    """
    path = Path(path)
    size = size_of(path, CAPTURE)
    if path.suffix == ".qdstrm":
        raise UsageError(
            f"{path}: raw data, not a report; run the `QdstrmImporter -i {path.name}` that comes with nsys"
        )
    head = b""
    if size:  # what the kernel makes up has none, and may never end
        with path.open("rb") as file:
            head = file.read(_HEAD)
    if not head:
        raise UsageError(f"{path}: the file is empty; capture again")
    if head.startswith(_SQLITE):
        from vlbench.nsys.export import read_export

        return read_export(path)
    if head.startswith(_GZIP) or head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        from vlbench.nsys.kineto import read_kineto

        return read_kineto(path)
    if path.suffix in (".nsys-rep", ".qdrep"):
        # How a report begins is written down nowhere, so only what is certainly something else is refused.
        what = "a zip file" if head.startswith(_ZIP) else "" if _NOT_IN_TEXT.intersection(head) else "a text"
        if what:
            raise UsageError(f"{path}: {what}, and no report of nsys; {CAPTURE.remedy}")
        export = _exported(path)
        found = load(export)
        return replace(found, notes=(*found.notes, f"{path.name}: read from its export {export.name}"))
    raise UsageError(f"{path}: neither an SQLite export, an nsys report nor a torch profiler trace")


def _exported(report: Path) -> Path:
    from vlbench.nsys.command import export_command, export_report, find_nsys

    target = report.with_suffix(".sqlite")
    if target.is_file() and target.stat().st_size and target.stat().st_mtime >= report.stat().st_mtime:
        return target
    nsys = find_nsys()
    if nsys is None:
        command = " ".join(export_command("nsys", report, target))
        raise UsageError(
            f"{report}: nsys is not installed here; where it was made, run `{command}` and send {target.name}"
        )
    done = export_report(nsys, report, target)
    if done.returncode or not target.is_file():
        said = (done.stderr or done.stdout).strip().splitlines()
        why = said[-1] if said else "without a message"
        raise UsageError(f"{report}: {nsys} cannot export it ({why}); use the nsys that made it")
    return target
