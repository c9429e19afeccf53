"""Every sample of results as one long table for pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlbench.record.schema import Results

if TYPE_CHECKING:
    import pandas

COLUMNS = {
    **dict.fromkeys(("scenario", "point", "model", "dtype", "device", "variant", "flags"), "object"),
    "trial": "Int64",
    "exactness": "object",
    "passed": "boolean",
    "fp32_error": "float64",
    "timed_error": "float64",
    "aten_operations": "Int64",
    "attention_calls": "Int64",
    "state": "object",
    "round": "Int64",
    "seconds": "float64",
    "ratio": "float64",
}
"""The columns of `samples_of` and their pandas dtypes, whatever a file holds."""


def samples_of(results: Results) -> pandas.DataFrame:
    """Results as a tidy table: one row per group, variant, trial, state and round.

    `ratio` is the time over the reference tower's in the same round: below 1 is faster. A variant without times has one
    row per trial with `state`, `round` and `seconds` missing. Errors are relative L2, `seconds` are seconds.
    """
    import pandas

    rows = []
    for group in results.groups:
        shared = dict(zip(("scenario", "point", "model", "dtype", "device"), group.key, strict=True))
        flags = {row.name: None if row.flags is None else "+".join(row.flags) for row in group.rows}
        for trial in group.trials:
            reference = trial.find(group.rows[0].name)
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
                    "aten_operations": counts.aten_operations if counts else None,
                    "attention_calls": counts.attention_calls if counts else None,
                }
                if not variant.timings:
                    rows.append(fixed | {"state": None, "round": None, "seconds": None, "ratio": None})
                for state, timing in variant.timings.items():
                    base = reference.timings[state].seconds if reference and state in reference.timings else ()
                    for number, seconds in enumerate(timing.seconds):
                        ratio = seconds / base[number] if base else None
                        rows.append(fixed | {"state": state, "round": number, "seconds": seconds, "ratio": ratio})
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
