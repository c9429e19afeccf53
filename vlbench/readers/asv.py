"""airspeed velocity's results (`results/MACHINE/COMMIT-ENV.json`), versions 1 and 2: one file is one run.

`time_` is in seconds and `mem_`, `peakmem_` in bytes; which way a `track_` is good is said or asked for. A benchmark of
`null` failed, one of NaN was skipped. https://github.com/airspeed-velocity/asv/blob/main/docs/source/dev.rst
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, check_median, failures, finite, objects_with, unread_keys
from vlbench.record.directions import Better, words_of
from vlbench.record.runs import Metric, Run, collect

OF_FILE = words_of(
    "commit_hash env_name date params python requirements env_vars result_columns results durations version "
    "benchmark_version started_at duration profiles"
)
COLUMNS = words_of("result params version started_at duration samples profile stats") | {
    f"stats_{name}" for name in ("ci_99_a", "ci_99_b", "q_25", "q_75", "number", "repeat")
}
MAY_DIFFER = words_of("ram")
"""Of the machine and the requirements; a system tells it a little otherwise after an update."""
UNITS = {"time": "s", "timeraw": "s", "mem": "bytes", "peakmem": "bytes"}


def _read(document: Document) -> list[Run]:
    whole, source = document.objects[0], document.source
    if not isinstance(whole["results"], dict) or not isinstance(whole["params"], dict):
        raise UsageError(f"{source}: results and params are no objects; is the file whole and unchanged?")
    metrics: list[Metric] = []
    versions: dict[str, str] = {}
    unread = list(unread_keys(whole, OF_FILE))
    failed = 0
    for name, row in whole["results"].items():
        columns = _columns(source, name, row, whole)
        unread += unread_keys(columns, COLUMNS)
        if columns.get("version") is not None:
            versions[f"version of {name}"] = str(columns["version"])
        for label, value, samples in _cases(source, name, columns):
            if isinstance(value, float) and math.isnan(value):
                unread.append(f"{label}, which was skipped")
            elif value is None:
                failed += 1
            else:
                metrics.append(_metric(document, name, label, value, samples))
    return [collect(source, metrics, _asked(whole) | versions, failures(failed, "benchmarks"), unread)]


def _asked(whole: dict[str, Any]) -> dict[str, str]:
    """The machine, the versions of what was installed, and the environment's variables."""
    given = [whole[key] for key in ("requirements", "env_vars", "params") if isinstance(whole.get(key), dict)]
    told = {key: str(value) for each in given for key, value in each.items()}
    return {key: told[key] for key in sorted(told.keys() - MAY_DIFFER)}


def _metric(document: Document, name: str, label: str, value: object, samples: tuple[float, ...]) -> Metric:
    unit = UNITS.get(name.rpartition(".")[2].partition("_")[0].lower(), "")
    better = Better.LOWER if unit else document.better(label)
    figure = finite(document.source, label, value)
    check_median(document.source, label, figure, samples)
    return Metric(label, figure, unit, better, samples)


def _columns(source: str, name: str, row: object, whole: dict[str, Any]) -> dict[str, Any]:
    """What a file says of one benchmark, by column."""
    if isinstance(row, dict):
        return row
    if not isinstance(row, list):  # of version 1, or of one that failed
        return {"result": row}
    columns = whole.get("result_columns")
    if not isinstance(columns, list) or not all(isinstance(each, str) for each in columns) or len(row) > len(columns):
        raise UsageError(f"{source}: {name!r:.60} has more values than result_columns has names; is the file whole?")
    return dict(zip(columns, row, strict=False))


def _cases(source: str, name: str, columns: dict[str, Any]) -> Iterator[tuple[str, object, tuple[float, ...]]]:
    """Label, figure and samples of each combination of a benchmark's parameters."""
    result, params, samples = columns.get("result"), columns.get("params") or [], columns.get("samples")
    if not isinstance(result, list):
        result, params, samples = [result], [], [samples]
    samples = samples or [None] * len(result)
    lists = isinstance(params, list) and all(isinstance(each, list) for each in params)
    if not (lists and isinstance(samples, list) and math.prod(map(len, params)) == len(result) == len(samples)):
        raise UsageError(f"{source}: {name!r:.60} has other counts of parameters, results and samples; is it whole?")
    for case, value, taken in zip(product(*params), result, samples, strict=True):
        label = f"{name}({', '.join(map(str, case))})" if case else name
        if not isinstance(taken, list | None):
            raise UsageError(f"{source}: the samples of {label!r:.60} are {taken!r:.40}, no list; is the file whole?")
        kept = [each for each in taken or () if each is not None]
        yield label, value, tuple(finite(source, f"a sample of {label}", each) for each in kept)


TELLING = frozenset({"commit_hash", "results", "params", "requirements"})
READS = "airspeed velocity's results of one commit"
READER = Reader("asv", READS, objects_with(TELLING, several=False), _read, TELLING)
