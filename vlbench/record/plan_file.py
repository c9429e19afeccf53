"""Plans for many machines: a line of JSON for each trial of each group, sealed as a whole."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.record.base import Amount, Count, Record, record_of
from vlbench.untrusted.files import Kind, first_fault, json_lines, parse_json, read_text

PLAN = Kind(
    "give a file that `vlbench plan` printed",
    absent="{path}: no such file; print one with `vlbench plan --out {path}`",
    ours=True,
)
MATRIX = Kind("give a file with options of `vlbench plan`, each a key", broken="{path}: not TOML ({why}); {remedy}")


class Needs(Record):
    """What a machine has to have."""

    device: Literal["cpu", "cuda"]
    packages: tuple[str, ...]
    """Besides vlbench's own requirements: packages and modules that its rows come from."""


class PlanLine(Record):
    """One trial of one group. All trials of a group run on one machine, one after the other."""

    plan: str = ""
    """A digest of all lines of the plan."""
    line: Count
    """From 1, as are groups and trials."""
    lines: Count
    group: Count
    groups: Count
    scenario: str
    point: str
    model: str
    dtype: str
    trial: Count
    trials: Count
    rows: tuple[str, ...]
    job: str
    """The digest of what is measured, which each of its trials will carry."""
    seconds: Amount
    """Budget of this line."""
    needs: Needs
    vlbench: str
    """The version that planned it."""
    asked: dict[str, Any]
    """The arguments from which every machine makes the same plan."""
    command: str
    """What runs all trials of the group."""

    @property
    def named(self) -> str:
        """What it is, in words."""
        cell = " ".join(filter(None, (self.scenario, self.point and f"[{self.point}]", self.model, self.dtype)))
        return f"line {self.line} ({cell} {self.needs.device}, trial {self.trial} of {self.trials})"


def sealed(lines: list[PlanLine]) -> list[PlanLine]:
    """The lines with the digest of them all."""
    digest = _digest(lines)
    return [line.model_copy(update={"plan": digest}) for line in lines]


def plan_text(lines: list[PlanLine]) -> str:
    """The lines as a file has them."""
    return "".join(f"{line.model_dump_json()}\n" for line in lines)


def read_plan(path: Path) -> list[PlanLine]:
    """The lines of a plan. Raises UsageError for a file that is none, or that is not as it was printed."""
    lines = list[PlanLine]()
    for number, text in enumerate(json_lines(read_text(path, PLAN)), 1):
        content = parse_json(text, f"{path}, line {number}", PLAN)
        try:
            lines.append(record_of(PlanLine, content))
        except ValidationError as error:
            raise UsageError(f"{path}, line {number}: {first_fault(error)}; {PLAN.remedy}") from None
    if not lines:
        raise UsageError(f"{path}: holds no line; {PLAN.remedy}")
    if len(lines) < lines[0].lines:
        raise UsageError(f"{path}: holds {len(lines)} of {lines[0].lines} lines; print the plan again")
    if [line.line for line in lines] != list(range(1, lines[0].lines + 1)) or {each.plan for each in lines} != {
        _digest(lines)
    }:
        raise UsageError(f"{path}: its digest does not fit: a line was edited, moved or added; print the plan again")
    return lines


def _digest(lines: list[PlanLine]) -> str:
    content = [line.model_dump(mode="json", exclude={"plan"}) for line in lines]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
