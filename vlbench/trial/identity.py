"""What a trial is told by: an id that no other has, and digests of what was fed in and of the weights."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from vlbench.trial.job import job_of

if TYPE_CHECKING:
    from torch import Tensor

    from vlbench.implementations.preprocessing import Grid
    from vlbench.matrix.plan import Plan

SAMPLE = 4096
"""Values of a tensor that its digest looks at, spread evenly: all of them would take seconds at 7B."""


def new_id(plan: Plan, number: int) -> str:
    """A digest of what all trials of the plan have in common, its seed, the trial's number, and what nobody else drew.

    What differs between them is left out: the number, the time, and that some measure a few variants alone.
    """
    return f"{job_digest(plan)}:{plan.seed}:{number}:{secrets.token_hex(8)}"


def job_digest(plan: Plan) -> str:
    """Of what all trials of the plan have in common."""
    return sha256(job_of(plan, 0, 0.0).model_dump_json().encode()).hexdigest()[:16]


def digest_of_inputs(pixels: Tensor, grids: tuple[Grid, ...]) -> str:
    """Of every bit that is fed in; pixels of any shape, on the host."""
    return sha256(repr(grids).encode() + pixels.numpy().tobytes()).hexdigest()


def digest_of_weights(weights: Mapping[str, Tensor]) -> str:
    """Of the names, shapes and dtypes of all tensors, and of SAMPLE values of each."""
    found = sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().flatten()
        chosen = tensor[:: max(1, tensor.numel() // SAMPLE)].cpu()
        found.update(f"{name} {tuple(weights[name].shape)} {tensor.dtype}".encode())
        found.update(chosen.double().numpy().tobytes())
    return found.hexdigest()
