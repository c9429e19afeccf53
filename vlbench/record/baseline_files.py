"""Baseline files: read with one sentence for whatever is wrong, written whole or not at all."""

from pathlib import Path
from typing import Any

from vlbench.errors import IncomparableError, UsageError
from vlbench.record.base import Record, fitting
from vlbench.record.baseline import BASELINE_SCHEMA, Baseline
from vlbench.record.files import write_whole
from vlbench.record.printed import check_not_printed
from vlbench.untrusted.files import Kind, parse_json, read_bytes

BASELINE = Kind(
    "give a baseline file",
    absent='{path}: no such file; write one with `vlbench baseline save {path} --tower module:Name --reason "..."`',
    folder="{path}: a folder; {remedy} in it",
    missing=IncomparableError,
    ours=True,
)
FOLDER = Path("results/baselines")
"""Where baselines lie, seen from the folder that is measured in."""
PROPOSED = ".proposed.json"


def read_baseline(path: Path) -> Baseline:
    """The baseline in `path`, fit to gate on.

    Raises UsageError for what is no baseline file, and IncomparableError for one that is missing, of another schema,
    empty, altered or not accepted.
    """
    found = load_baseline(path)
    if reason := why_unfit(found):
        raise IncomparableError(f"{path}: {reason}: {_remedy(path, found)}")
    return found


def load_baseline(path: Path) -> Baseline:
    """The baseline in `path`, accepted or not. Raises like `read_baseline` for a file that does not fit the schema."""
    return parse_baseline(read_bytes(path, BASELINE), str(path))


def parse_baseline(text: str | bytes, name: str) -> Baseline:
    """The baseline in a JSON text; `name` is for messages. Raises as `load_baseline` does."""
    content = parse_json(text, name, BASELINE)
    if not isinstance(content, dict) or content.get("kind") != "baseline" or "unfit" in content:
        check_not_printed(name, content)
        raise UsageError(f"{name}: not a baseline; give a file that `vlbench baseline save` wrote")
    version = content.get("schema_version")
    if version != BASELINE_SCHEMA:
        remedy = f"bring it over with `vlbench baseline migrate {name}`" if version == 1 else "save the baseline again"
        raise IncomparableError(f"{name}: schema_version is {version}, this vlbench reads {BASELINE_SCHEMA}; {remedy}")
    return baseline_of(content, name)


def baseline_of(content: dict[str, Any], name: str) -> Baseline:
    """The baseline that a JSON object of this schema holds. Raises IncomparableError."""
    return fitting(Baseline, content, name, "the file was changed by hand, take that back", IncomparableError)


def why_unfit(baseline: Baseline) -> str | None:
    """Why nothing can be gated on `baseline`, None where it can."""
    if not baseline.cells:
        return "has no cells, so nothing would be measured"
    if not baseline.accepted or not baseline.seal:
        return "nobody has accepted these figures yet"
    if not baseline.intact:
        return "was edited by hand since it was accepted"
    return None


def write_baseline(record: Record, path: Path) -> None:
    """Write a baseline, or what lies beside it, to `path`, whole or not at all. Raises UsageError."""
    write_whole(path, record.model_dump_json(indent=1) + "\n")


def is_baseline(name: str) -> bool:
    """Is it the name of a baseline file, and not of a proposal?"""
    return name.endswith(".json") and not name.endswith(PROPOSED)


def find_baselines(folder: Path = FOLDER, *, empty: bool = False) -> list[Path]:
    """The baseline files in `folder`, without proposals, sorted. Raises IncomparableError for none, unless `empty`."""
    found = sorted(path for path in folder.glob("*.json") if is_baseline(path.name))
    if not found and not empty:
        raise IncomparableError(
            f"{folder}: holds no baseline; write the first with `vlbench gate init package.module:factory`"
        )
    return found


def proposal_path(path: Path) -> Path:
    """Where a gate run over `path` leaves the file that would accept what it found."""
    return path.with_suffix(PROPOSED)


def _remedy(path: Path, baseline: Baseline) -> str:
    if not baseline.cells:
        return f'save cells with `vlbench baseline save {path} --force --reason "..."`'
    return f'`vlbench baseline accept {path} --reason "..."` takes them, `git checkout {path}` goes back'
