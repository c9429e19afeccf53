"""All that `vlbench nsys report` says about a capture, as data: `console` prints it, `to_dict` is JSON."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from vlbench.nsys.activity import api_table, kernel_table, memcpy_table, sync_table
from vlbench.nsys.advice import Advice, advise
from vlbench.nsys.encoder import Forwards, Share, find_forwards, share
from vlbench.nsys.frames import Capture
from vlbench.nsys.measured import losses_or_doubt, unmeasured
from vlbench.nsys.projection import project
from vlbench.nsys.summary import ITERATION, coverage, labels, per_iteration, per_range, stability


@dataclass(frozen=True)
class Report:
    """One capture's tables. Absent is None or an empty frame, never a zero."""

    capture: Capture
    coverage: dict[str, int]
    ranges: pd.DataFrame
    api: pd.DataFrame
    kernels: pd.DataFrame
    copies: pd.DataFrame
    syncs: pd.DataFrame
    iteration: str
    iterations: pd.DataFrame | None
    stability: pd.DataFrame | None
    forwards: Forwards | None
    share: Share | None
    advice: tuple[Advice, ...]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`: the same tables, times in ns, None where nothing was measured."""
        encoder = None
        if self.forwards is not None:
            encoder = {
                "how": self.forwards.how,
                "forwards": records(self.forwards.projected.drop(columns=["domain", "name"])),
                "share": None if self.share is None else asdict(self.share) | {"of_busy": number(self.share.of_busy)},
                "advice": [asdict(advice) | {"sentence": advice.sentence} for advice in self.advice],
            }
        capture = self.capture
        iterations = None if self.iterations is None else records(self.iterations.drop(columns=["domain", "name"]))
        return {
            "file": capture.path,
            "source": capture.source,
            "version": capture.version,
            "gpus": list(capture.gpus),
            "missing": list(capture.missing),
            "notes": [*capture.notes, *losses_or_doubt(capture)],
            "not_measured": unmeasured(capture),
            "diagnostics": [text for severity, text in capture.diagnostics if severity > 1],
            "coverage": self.coverage,
            "ranges": records(self.ranges.reset_index(names="range")),
            **{name: records(getattr(self, name)) for name in ("api", "kernels", "copies", "syncs")},
            "iteration": self.iteration,
            "iterations": iterations,
            "stability": None if self.stability is None else records(self.stability.reset_index(names="counter")),
            "encoder": encoder,
        }


def build(capture: Capture, pattern: str | None = None, iteration: str | None = None) -> Report:
    """All tables of a capture.

    `pattern` names the encoder's forwards (see `find_forwards`), `iteration` the repeated range; without one
    the range `vlbench:iteration` is taken where there is one, else the encoder's forwards are the iterations.
    """
    projected = project(capture)
    forwards = find_forwards(capture, pattern)
    repeated, iterations = iteration or ITERATION, None
    if iteration is not None or (labels(capture.ranges) == ITERATION).any():
        iterations = per_iteration(capture, repeated)
    elif forwards is not None:
        repeated, iterations = "the encoder's forward", forwards.projected.reset_index(drop=True)
    return Report(
        capture=capture,
        coverage=coverage(capture),
        ranges=per_range(capture, projected),
        api=api_table(capture),
        kernels=kernel_table(capture),
        copies=memcpy_table(capture),
        syncs=sync_table(capture),
        iteration=repeated,
        iterations=iterations,
        stability=None if iterations is None or len(iterations) < 3 else stability(iterations),
        forwards=forwards,
        share=None if forwards is None else share(capture, forwards),
        advice=() if forwards is None else tuple(advise(capture, forwards)),
    )


def number(value: Any) -> Any:
    """A JSON number; None for what is not one."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as plain Python values."""
    return [{str(key): number(value) for key, value in row.items()} for row in table.to_dict(orient="records")]
