"""Results files: written whole or not at all, read with one sentence for whatever is wrong, loaded into pandas."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.record.schema import SCHEMA_VERSION, Results
from vlbench.untrusted.files import Kind, first_fault, read_json

if TYPE_CHECKING:
    import pandas


RESULTS = Kind(
    "give a file that `vlbench run --out` wrote",
    absent="{path}: no such file; write one with `vlbench run --out {path}`",
    binary="{path}: not JSON; {remedy}",
)
COLUMNS = {
    **dict.fromkeys(("scenario", "point", "model", "dtype", "device", "variant", "flags"), "object"),
    "trial": "Int64",
    "exactness": "object",
    "passed": "boolean",
    "fp32_error": "float64",
    "timed_error": "float64",
    "operations": "Int64",
    "attention_calls": "Int64",
    "state": "object",
    "round": "Int64",
    "seconds": "float64",
    "ratio": "float64",
}
"""The columns of `load` and their pandas dtypes, whatever a file holds."""


def write_whole(path: Path, text: str) -> None:
    """Write beside the goal and rename, so that an interruption never leaves half a file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_results(results: Results, path: Path) -> None:
    """Write the results file, whole or not at all."""
    write_whole(path, results.model_dump_json(indent=1) + "\n")


def read_results(path: Path) -> Results:
    """The results in `path`. Raises UsageError when it is missing, not a results file, or of another schema."""
    content = read_json(path, RESULTS)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version is None:
        raise UsageError(f"{path}: has no schema_version; {RESULTS.remedy}")
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path}: schema_version is {version}, this vlbench reads {SCHEMA_VERSION}; measure again")
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path}: {first_fault(error)}; the file was changed by hand, measure again") from None


def load(path: str | Path) -> pandas.DataFrame:
    """A results file as a tidy table: one row per group, variant, trial, state and round.

    `ratio` is the time over the yardstick's in the same round: below 1 is faster. A variant without times has one row
    per trial with `state`, `round` and `seconds` missing. Errors are relative L2, `seconds` are seconds.
    """
    import pandas

    rows = []
    for group in read_results(Path(path)).groups:
        shared = dict(zip(("scenario", "point", "model", "dtype", "device"), group.key, strict=True))
        flags = {row.name: None if row.flags is None else "+".join(row.flags) for row in group.rows}
        for trial in group.trials:
            yardstick = trial.find(group.rows[0].name)
            for variant in trial.variants:
                accuracy, counts = variant.accuracy, variant.counts
                fixed = shared | {
                    "variant": variant.name,
                    "flags": flags[variant.name],
                    "trial": trial.number,
                    "exactness": accuracy.exactness if accuracy else None,
                    "passed": accuracy.passed if accuracy else None,
                    "fp32_error": accuracy.fp32_error if accuracy else None,
                    "timed_error": accuracy.timed_error if accuracy else None,
                    "operations": counts.operations if counts else None,
                    "attention_calls": counts.attention_calls if counts else None,
                }
                if not variant.timings:
                    rows.append(fixed | {"state": None, "round": None, "seconds": None, "ratio": None})
                for state, timing in variant.timings.items():
                    base = yardstick.timings[state].seconds if yardstick and state in yardstick.timings else ()
                    for number, seconds in enumerate(timing.seconds):
                        ratio = seconds / base[number] if base else None
                        rows.append(fixed | {"state": state, "round": number, "seconds": seconds, "ratio": ratio})
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
