"""Files of the schema before this one: results are read as they are, baselines are brought over once.

Schema 2 calls the operations of a forward on the host `aten_operations`, since the `device_operations` of the counting
device are others, and the lines of a counted forward `sites`.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from vlbench.errors import IncomparableError, UsageError
from vlbench.record.baseline import BASELINE_SCHEMA, Baseline
from vlbench.record.baseline_files import BASELINE, baseline_of, write_baseline
from vlbench.untrusted.files import read_json

Table = dict[str, Any]


def migrate(path: Path) -> tuple[Baseline, bool]:
    """Bring the baseline in `path` over to this schema, where it lies: sealed and accepted as before; was it needed?

    Raises UsageError for what is no baseline of the schema before this one, and IncomparableError for one that was
    edited since it was accepted: nobody has accepted those figures.
    """
    content = read_json(path, BASELINE)
    if not isinstance(content, dict) or content.get("kind") != "baseline":
        raise UsageError(f"{path}: not a baseline; give a file that `vlbench baseline save` wrote")
    version = content.get("schema_version")
    if version == BASELINE_SCHEMA:
        return baseline_of(content, str(path)), False
    if version != 1:
        raise UsageError(f"{path}: schema_version is {version}, and 1 is what can be brought over; leave it as it is")
    seal = content.get("seal")
    for forward in _forwards(content):
        _rename(forward, "lines", "sites")
    for cell in _tables(content.get("timed")):
        _rename(cell.get("counts"), "operations", "aten_operations")
    found = baseline_of(content | {"schema_version": 2}, str(path))
    if seal != _seal_before(found):
        raise IncomparableError(
            f"{path}: was edited by hand since it was accepted; `git checkout {path}` goes back, then bring it over"
        )
    migrated = found.sealed()
    write_baseline(migrated, path)
    return migrated, True


def _seal_before(baseline: Baseline) -> str:
    """The seal that the schema before this one gave to the same figures."""
    content = baseline.model_dump(mode="json", exclude={"seal"}, exclude_defaults=True)
    for forward in _forwards(content):
        _rename(forward, "sites", "lines")
    for cell in _tables(content.get("timed")):
        _rename(cell.get("counts"), "aten_operations", "operations")
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _forwards(content: Table) -> Iterator[Table]:
    for cell in _tables(content.get("counted")):
        yield from _tables([cell.get("cold"), cell.get("warm")])


def _tables(value: Any) -> list[Table]:
    """The tables among entries that nobody has checked yet."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _rename(table: Any, old: str, new: str) -> None:
    if isinstance(table, dict) and old in table:
        table[new] = table.pop(old)
