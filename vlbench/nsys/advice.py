"""Advice from counts: which patterns the encoder's forwards show, how often, in how many of them, and the remedy."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from vlbench.implementations.optimized.advice import InCapture
from vlbench.nsys.encoder import Forwards
from vlbench.nsys.frames import Capture, copy_kinds
from vlbench.nsys.projection import Layout, lay_out


@dataclass(frozen=True)
class Rule(InCapture):
    """One line of advice. `why` says what would remove the pattern where no flag does."""

    flag: str | None = None


FOLDER = Path(__file__).parent / "rules"
"""A file for each rule that no flag of ours answers: its fields are those of `InCapture`."""


def rules() -> tuple[Rule, ...]:
    """What the flags say of themselves, in the order of the forward, then what no flag removes. Imports torch."""
    from vlbench.implementations.optimized import OPTIMIZATIONS

    seen = ((one.flag, each) for one in OPTIMIZATIONS.values() for each in one.advice)
    others = (Rule(**tomllib.loads(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*.toml")))
    return (*(Rule(**vars(each), flag=flag) for flag, each in seen if isinstance(each, InCapture)), *others)


@dataclass(frozen=True)
class Advice:
    """A remedy and its evidence: in `seen` of `forwards` forwards the rule counted `least` to `most`."""

    flag: str | None
    what: str
    why: str
    seen: int
    forwards: int
    least: int
    most: int
    idle: float | None = None  # idle share of the forwards' spans, where the rule looks at it

    @property
    def sentence(self) -> str:
        """The advice as shown, with its counts."""
        count = str(self.least) if self.least == self.most else f"{self.least} to {self.most}"
        where = f"inside {self.seen} of {self.forwards} forwards"
        idle = "" if self.idle is None else f", the GPU idle for {self.idle:.0%} of their span"
        remedy = f"the pattern of {self.flag} ({self.why})" if self.flag else self.why
        return f"{count} {self.what} {where}{idle}: {remedy}"


def is_of_rocm(capture: Capture) -> bool:
    """Are there calls of ROCm's own API, whose names no rule knows?"""
    return any(str(name).startswith("hip") for name in capture.api["name"].unique())


def advise(capture: Capture, forwards: Forwards) -> list[Advice]:
    """Every rule whose pattern at least half of the forwards show, in the order of the table."""
    layout = lay_out(capture, forwards.ranges)
    found = []
    span = int(forwards.projected["span_ns"].sum())
    idle = float(forwards.projected["idle_ns"].sum()) / span if span else 0.0
    for rule in rules():
        if idle < rule.idle_share:
            continue
        counts = _count(capture, layout, rule)
        inside = counts[(counts >= rule.least) & (counts <= (rule.most if rule.most is not None else counts))]
        if inside.size and 2 * inside.size >= counts.size:
            evidence = (inside.size, counts.size, int(inside.min()), int(inside.max()))
            found.append(Advice(rule.flag, rule.what, rule.why, *evidence, idle if rule.idle_share else None))
    return found


def _count(capture: Capture, layout: Layout, rule: Rule) -> npt.NDArray[np.int64]:
    if rule.api:
        return layout.calls_sum(_matching(capture.api["name"], rule.api))
    ops = capture.gpu_ops
    if rule.kernel:
        return layout.ops_sum(_matching(ops["name"], rule.kernel) & (ops["kind"] == "kernel").to_numpy())
    size = ops["bytes"].to_numpy()
    fits = (size >= rule.least_bytes) & (size <= (rule.most_bytes if rule.most_bytes is not None else size))
    return layout.ops_sum(_matching(pd.Series(copy_kinds(ops)), rule.copy) & fits)


def _matching(names: pd.Series, expression: str) -> npt.NDArray[np.bool_]:
    """Rows whose category matches; the expression runs once per name."""
    hits = np.array([bool(re.search(expression, str(name))) for name in names.cat.categories] + [False], dtype=bool)
    return hits[names.cat.codes.to_numpy()]
