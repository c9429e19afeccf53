"""Whether stored outputs became rougher where they are rounded: below fp32, a result may move without being wrong."""

import math
from collections.abc import Iterator

import torch

from vlbench.record.exactness import OWN_ERROR_FACTOR
from vlbench.record.grouping import gathered
from vlbench.record.outputs import StoredOutputs
from vlbench.trial.sketch import LIMITS, PROJECTIONS, shares
from vlbench.trial.small_calls import exact_of

SPREAD = 4
"""Standard deviations of what sketches say of two errors of the same size, which are allowed for."""

Sketches = tuple[str, str, str | None]
"""Of one part of one call: stored, now, and stored of the same call in fp32."""


def rougher(stored: StoredOutputs, now: StoredOutputs, counted: str) -> tuple[str, str]:
    """Why the outputs are too rough in a dtype below fp32, and why they may be rougher there; "" for what is not so.

    Too rough is what is further from the stored fp32 result than OWN_ERROR_FACTOR times what was stored is. What is
    not, and is not the same bits, may be: cos and sin that are rounded are no further off than all else that is
    rounded. `counted` is the dtype of the counters, of which something has to be known.
    """
    found = gathered(((dtype, part), sketches) for dtype, part, sketches in _rounded(stored, now))
    wrong, moved = [], []
    for (dtype, part), calls in found.items():
        if all(before == after for before, after, _ in calls):
            continue
        error, own, limit = _against_fp32([(old, new, exact) for old, new, exact in calls if exact])
        if not error <= limit:
            told = f"in {dtype} its {part} are off by {error:.2g} from what was stored in float32, at most {limit:.2g}"
            wrong.append(f"{told}: stored in {dtype} they were off by {own:.2g}")
        off = _size([shares(old, new) for old, new, _ in calls])
        beside = f"{own:.2g}" if math.isfinite(own) else "not known"
        moved.append(
            f"its result in {dtype} is not bit for bit the stored one: its {part} moved by {off:.2g} where their own "
            f"error is {beside}, which may be another rounding or a lower precision"
        )
    if counted != "float32" and counted not in {dtype for dtype, _ in found}:
        moved.append(f"no result in {counted} is compared with a stored one")
    return "; ".join(wrong), "; ".join(moved)


def _rounded(stored: StoredOutputs, now: StoredOutputs) -> Iterator[tuple[str, str, Sketches]]:
    """Dtype, name and sketches of each part that both have of a call below fp32."""
    for number, (before, after) in enumerate(zip(stored.calls, now.calls, strict=False)):
        dtype = after.name.rpartition(" ")[2]
        if dtype == "float32":
            continue
        place = exact_of(number, images="images" in now.calls[0].name)
        in_fp32 = stored.calls[place].parts if place is not None and place < len(stored.calls) else ()
        exact = {part.name: part.sketch for part in in_fp32}
        for old, new in zip(before.parts, after.parts, strict=False):  # one that raised has none
            yield dtype, old.name, (old.sketch, new.sketch, exact.get(old.name))


def _against_fp32(calls: list[tuple[str, str, str]]) -> tuple[float, float, float]:
    """The error now, the stored one and the largest allowed; nothing is allowed or refused where fp32 lacks."""
    if not calls:
        return 0.0, math.nan, 0.0
    before = [shares(exact, old) for old, _, exact in calls]
    own, error = _size(before), _size([shares(exact, new) for _, new, exact in calls])
    noise = 1 + SPREAD / math.sqrt(PROJECTIONS * sum(map(len, before)))
    return error, own, max(OWN_ERROR_FACTOR * noise * own, LIMITS["float32"])


def _size(squares: list[torch.Tensor]) -> float:
    return float(torch.cat(squares).mean().sqrt())
