"""Sketches of tensors: few numbers that tell two outputs, or two sets of weights, apart within rounding.

Outputs are large and baselines are not, so a baseline keeps of each token its norm and PROJECTIONS fixed projections,
20 bytes a token, for at most MOST_ROWS rows of tokens; of each weight its norm and one projection, 8 bytes. A
projection is off by what the token is off by, times a normal number: an error of 10 times the limit in one token stays
unseen once in 300,000 times.
"""

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256

import torch
from torch import Tensor

PROJECTIONS = 4
MOST_ROWS = 128
"""Further tokens are added to these with random weights, so that an output of whole images does not take a
megabyte."""
LIMITS = {"float32": 1e-4, "bfloat16": 0.1}
"""Of a token's error, as a share of the usual token's norm. In fp32 it is ten times what another order of additions
makes, in bf16 it tells wrong from right alone."""
WEIGHT_LIMIT = 1e-4
_PATTERN = 4096


@cache
def _pattern(length: int, columns: int, seed: int) -> Tensor:
    """[length, columns] of mean 0 and variance 1, the same on every machine: made of whole numbers."""
    draw = torch.Generator().manual_seed(seed)
    whole = torch.randint(-(2**15), 2**15 + 1, (length, columns), generator=draw)
    return whole.double() * (math.sqrt(3) / 2**15)


def sketch(part: Tensor) -> str:
    """Of a tensor [..., width]: float32 [rows, 1 + PROJECTIONS] in base64, the norm first."""
    rows = part.detach().cpu().double().reshape(-1, part.shape[-1] if part.ndim else 1)
    found = torch.cat([rows.norm(dim=1, keepdim=True).square(), rows @ _pattern(rows.shape[1], PROJECTIONS, 1)], dim=1)
    if len(found) > MOST_ROWS:
        found[:, 1:] *= _pattern(len(found), 1, 2)
        places = torch.arange(len(found)) % MOST_ROWS
        found = torch.zeros(MOST_ROWS, found.shape[1], dtype=torch.float64).index_add_(0, places, found)
    found[:, 0] = found[:, 0].sqrt()
    return _text(found)


def difference(stored: str, now: str) -> tuple[float, int]:
    """The largest error of a row, as a share of the usual row's norm, and which row; infinite for what is no number."""
    before, after = _numbers(stored, 1 + PROJECTIONS), _numbers(now, 1 + PROJECTIONS)
    if before.shape != after.shape:
        return math.inf, 0
    scale = before[:, 0].square().mean().sqrt()
    off = (after - before).abs()
    errors = torch.maximum(off[:, 0], off[:, 1:].norm(dim=1) / math.sqrt(PROJECTIONS)) / scale
    errors = errors.nan_to_num(math.inf, math.inf)
    return float(errors.max()), int(errors.argmax())


def shares(stored: str, now: str) -> Tensor:
    """[rows] of squared errors, each as a share of the usual row's squared norm: their mean is right on average."""
    before, after = _numbers(stored, 1 + PROJECTIONS), _numbers(now, 1 + PROJECTIONS)
    return (after - before)[:, 1:].square().mean(dim=1) / before[:, 0].square().mean()


def is_empty(text: str) -> bool:
    """Does a sketch say nothing, being all zeros or not finite?"""
    norms = _numbers(text, 1 + PROJECTIONS)[:, 0]
    return not bool(norms.isfinite().all()) or not bool(norms.any())


def sketch_weights(weights: Mapping[str, Tensor]) -> tuple[str, str]:
    """A digest of names and shapes, and a sketch of the values: float32 [tensors, 2] in base64.

    The values are not digested to the bit, for one CPU draws them a last place off from another.
    """
    shapes = "".join(f"{key} {tuple(each.shape)}\n" for key, each in weights.items())
    return sha256(shapes.encode()).hexdigest(), _text(torch.tensor([_weight(each) for each in weights.values()]))


def _weight(tensor: Tensor) -> tuple[float, float]:
    flat = tensor.detach().cpu().flatten().float()
    whole = len(flat) // _PATTERN * _PATTERN
    folded = flat[whole:] @ _pattern(_PATTERN, 1, 3)[: len(flat) - whole, 0].float()
    if whole:
        rows = flat[:whole].view(-1, _PATTERN) @ _pattern(_PATTERN, 1, 3)[:, 0].float()
        folded = folded + rows @ _pattern(len(rows), 1, 4)[:, 0].float()
    return float(flat.norm()), float(folded)


def same_weights(stored: str, now: str) -> bool:
    """Are the values of the weights the same, but for rounding?"""
    before, after = _numbers(stored, 2), _numbers(now, 2)
    if before.shape != after.shape:
        return False
    off = (after - before).abs() <= WEIGHT_LIMIT * before[:, :1] + 1e-30
    return bool(off.all())


def _text(numbers: Tensor) -> str:
    return b64encode(numbers.float().contiguous().numpy().tobytes()).decode()


def _numbers(text: str, columns: int) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.frombuffer(b64decode(text), dtype="<f4").copy()).view(-1, columns).double()
