"""`vlbench.load`: any file of ours, by what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from vlbench.api.arguments import File
from vlbench.api.measured import Measured
from vlbench.api.results import Counted, Stored, Verdicts
from vlbench.errors import UsageError
from vlbench.judging.judged import Judged
from vlbench.record.baseline_files import load_baseline
from vlbench.record.counted import CountReport
from vlbench.record.files import read_results
from vlbench.untrusted.files import Kind, first_fault, read_json

OURS = Kind("give a file that vlbench wrote")
Model = TypeVar("Model", bound=BaseModel)


def load(path: File) -> Measured | Counted | Stored | Verdicts:
    """What a file of ours holds: results of `run`, a baseline, a report of `count` or the verdicts of a comparison.

    `.record` is all of it, typed, and `.table()` is pandas, a row per variant or cell; results have every reading in
    `.samples()`. A baseline need not be accepted. Raises UsageError for a file that is missing, broken, of another
    version, or none of these.
    """
    file = Path(path)
    content = read_json(file, OURS)
    keys = content.keys() if isinstance(content, dict) else set()
    if keys and content.get("kind") == "baseline":
        return Stored(load_baseline(file))
    if {"groups", "fingerprint"} <= keys:
        return Measured(read_results(file), file)
    if {"groups", "profile"} <= keys:
        return Counted(_read(file, content, CountReport))
    if {"command", "rows"} <= keys:
        judged = {key: value for key, value in content.items() if key not in ("exit_code", "expected_false_rows")}
        return Verdicts(_read(file, judged, Judged))
    raise UsageError(f"{file}: holds no results, baseline, count or verdicts of vlbench; give a file that it wrote")


def _read(file: Path, content: object, model: type[Model]) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{file}: {first_fault(error)}; the file was changed by hand, write it again") from None
