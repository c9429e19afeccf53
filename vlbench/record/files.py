"""Results files: written whole or not at all; read with one sentence for whatever is wrong."""

from pathlib import Path

from vlbench.errors import UsageError, not_written
from vlbench.record.base import fitting
from vlbench.record.destinations import open_output
from vlbench.record.printed import check_not_printed
from vlbench.record.schema import SCHEMA_VERSION, Results
from vlbench.record.whole import replace_text
from vlbench.untrusted.files import Kind, read_json

RESULTS = Kind(
    "give a file that `vlbench run --out` wrote",
    absent="{path}: no such file; write one with `vlbench run --out {path}`",
    binary="{path}: not JSON; {remedy}",
    ours=True,
)
OURS = Kind("give a file that vlbench wrote")


def write_whole(path: Path, text: str, then: str = "") -> None:
    """Write beside the goal and rename, so that an interruption never leaves half a file.

    A link stays a link to what is written, and what is no regular file (a device, a pipe) is written to as it is.
    Raises UsageError where it cannot be written, with the remedy and `then` (see `not_written`).
    """
    try:
        if not path.exists() or path.is_file():
            replace_text(path, text)
            return
        with open_output(path, str(path)) as file:
            file.write(text)
    except OSError as error:
        raise not_written(path, error, then) from None


READ_TOO = (1, 2)
"""Schemas before this one, which had no checksums: the fields that were renamed are read by either name."""


def write_results(results: Results, path: Path, then: str = "") -> None:
    """Write the results file with its checksum, whole or not at all. Raises UsageError as `write_whole` does."""
    write_whole(path, results.with_checksum().model_dump_json(indent=1) + "\n", then)


def why_unsealed(results: Results) -> str:
    """Why its figures cannot be told from edited ones, in words; "" where its checksums hold."""
    trials = [trial for group in results.groups for trial in group.trials]
    if not results.checksum or not all(trial.id and trial.checksum for trial in trials):
        return "it has no checksum"
    broken = next((f"trial {trial.number}" for trial in trials if not trial.intact), None)
    if broken is None and results.intact:
        return ""
    return f"its checksum does not fit: {broken or 'it'} was edited or damaged"


def read_results(path: Path) -> Results:
    """The results in `path`; those of an older schema have no checksum, and `why_unsealed` says so.

    Raises UsageError when it is missing, not a results file, of another schema, contradicts itself, or its checksums do
    not fit.
    """
    content = read_json(path, RESULTS)
    if not (isinstance(content, dict) and {"groups", "fingerprint"} <= content.keys()):
        check_not_printed(path, content)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version is None:
        raise UsageError(f"{path}: has no schema_version; {RESULTS.remedy}")
    if type(version) is not int or version not in (SCHEMA_VERSION, *READ_TOO):
        raise UsageError(f"{path}: schema_version is {version}, this vlbench reads {SCHEMA_VERSION}; measure again")
    edited = "the file was changed by hand, measure again"
    found = fitting(Results, content | {"schema_version": SCHEMA_VERSION}, path, edited)
    if version == SCHEMA_VERSION and (reason := why_unsealed(found)):
        raise UsageError(f"{path}: {reason}; take the change back, or measure again")
    if version != SCHEMA_VERSION and found.checksum:
        raise UsageError(f"{path}: schema {version} has no checksum; {edited}")
    return found
