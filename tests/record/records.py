"""Records made by hand: the one place in the tests that spells out the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from vlbench.record.exactness import FP32_LIMITS, Accuracy, Token
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.schema import CellGroup, Counts, Results, Row, State, Timing, Trial, VariantTrial

FINGERPRINT = Fingerprint(
    vlbench="0.1.0",
    revision="0123456789abcdef",
    dirty=False,
    python="3.11.7",
    torch="2.13.0",
    os="Linux 6.1",
    cpu="a CPU",
    cores=2,
    memory_gb=16.0,
)
RIGHT = Accuracy(passed=True, exactness="bit-exact", fp32_error=0.0, fp32_limit=0.0)
CLOSE = Accuracy(passed=True, exactness="reassociated", fp32_error=2.5e-7, fp32_limit=1e-5)
WRONG = Accuracy(
    passed=False,
    exactness="bit-exact",
    fp32_error=0.31,
    fp32_limit=0.0,
    worst_token=Token(item=1, frame=0, row=2, column=3, error=1.7),
    reason="not bit-exact in fp32: error 0.31",
)
KILLED = "its process was ended by SIGKILL (out of memory?)"
REFERENCE_SECONDS = (0.010, 0.011, 0.010, 0.012, 0.010, 0.011)


def timed(name: str, factor: float, states: tuple[State, ...] = ("warm",), **fields: Any) -> VariantTrial:
    """Every round took `factor` times as long as the reference tower's."""
    timing = Timing(seconds=tuple(factor * one for one in REFERENCE_SECONDS))
    given: dict[str, Any] = {
        "accuracy": RIGHT,
        "counts": Counts(aten_operations=300, attention_calls=16),
        "timings": dict.fromkeys(states, timing),
    } | fields
    return VariantTrial(name=name, **given)


def reference_tower(**fields: Any) -> VariantTrial:
    return timed("baseline", 1.0, counts=Counts(aten_operations=317, attention_calls=16), **fields)


def failed(name: str) -> VariantTrial:
    return VariantTrial(name=name, accuracy=WRONG, not_measured=WRONG.reason)


def died(name: str) -> VariantTrial:
    return VariantTrial(name=name, not_measured=KILLED)


def trial(*others: VariantTrial, number: int = 0, **fields: Any) -> Trial:
    """The reference tower and `others` in one process, called in one order in all rounds."""
    given: dict[str, Any] = {
        "seed": 0,
        "batch": "2 photos, 48 patches, 12 tokens",
        "fed_digest": "fed",
        "weights_digest": "weights",
        "grids": ((1, 4, 6), (1, 4, 6)),
        "variants": (reference_tower(), *others),
    } | fields
    given["variants"] = tuple(own_times(each, number) for each in given["variants"])
    return told_apart(Trial(number=number, **{"order": in_order(given["variants"])} | given))


def own_times(made: VariantTrial, number: int) -> VariantTrial:
    """The same with times that no other trial has: off by a millionth of a millionth."""
    off = 1 + 1e-12 * number
    timings = {
        state: timing.model_copy(
            update={
                "seconds": tuple(off * each for each in timing.seconds),
                "calls": tuple(tuple(off * each for each in calls) for calls in timing.calls),
            }
        )
        for state, timing in made.timings.items()
    }
    return made.model_copy(update={"timings": timings})


def in_order(variants: Sequence[VariantTrial]) -> dict[State, tuple[tuple[int, ...], ...]]:
    """As if they had been called one after the other in each round."""
    found: dict[State, tuple[tuple[int, ...], ...]] = {}
    for state in dict.fromkeys(state for each in variants for state in each.timings):
        timed = [(place, each.timings[state]) for place, each in enumerate(variants) if state in each.timings]
        if len(timed) > 1 and not any(timing.calls for _, timing in timed):
            found[state] = (tuple(place for place, _ in timed),) * len(timed[0][1].seconds)
    return found


def told_apart(made: Trial, seed: int | None = None, where: int = 0) -> Trial:
    """The same with an id that follows from its content and place, and with its checksum."""
    seed = made.seed if seed is None else seed
    blank = made.model_copy(update={"id": "", "seed": seed}).with_checksum()
    own = f"job:{seed}:{made.number}:{blank.checksum[:16]}{where}"
    return blank.model_copy(update={"id": own}).with_checksum()


def group(*trials: Trial, left_out: Mapping[str, str] | None = None, **fields: Any) -> CellGroup:
    """A group of these trials, with a row for each variant in them; a name is its flags."""
    rows = [Row(name="baseline", flags=None, exactness="bit-exact")]
    for name in dict.fromkeys(variant.name for each in trials for variant in each.variants):
        found = next(variant for each in trials for variant in each.variants if variant.name == name)
        exactness = found.accuracy.exactness if found.accuracy else "bit-exact"
        if name != "baseline":
            rows.append(Row(name=name, flags=tuple(sorted(name.split("+"))), exactness=exactness))
    given: dict[str, Any] = {
        "scenario": "multi-image",
        "point": "",
        "model": "qwen2.5-vl-tiny",
        "dtype": "float32",
        "device": "cpu",
        "weights": "random",
        "seed": 0,
        "threads": 1,
        "rows": tuple(rows),
    } | fields
    claims = {row.name: row.exactness for row in given["rows"]}
    made = tuple(told_apart(as_claimed(each, claims), given["seed"]) for each in trials)
    return CellGroup(**{"trials": made} | given)


def as_claimed(made: Trial, claims: Mapping[str, str]) -> Trial:
    """The same with every variant checked by what its row claims."""
    variants = []
    for each in made.variants:
        if each.accuracy and each.name in claims and each.accuracy.exactness != claims[each.name]:
            claim = {"exactness": claims[each.name], "fp32_limit": FP32_LIMITS[claims[each.name]]}
            each = each.model_copy(update={"accuracy": each.accuracy.model_copy(update=claim)})
        variants.append(each)
    return made.model_copy(update={"variants": tuple(variants)})


def results(*groups: CellGroup, **fields: Any) -> Results:
    given: dict[str, Any] = {
        "created": datetime(2025, 11, 21, 9, 30, tzinfo=UTC),
        "command": "vlbench run",
        "fingerprint": FINGERPRINT,
        "groups": tuple(
            each.model_copy(update={"trials": tuple(told_apart(one, where=place) for one in each.trials)})
            for place, each in enumerate(groups)
        ),
    } | fields
    return Results(**given).with_checksum()
