"""Do towers fit what they are fed, and each other? One sentence where not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from vlbench.errors import UsageError
from vlbench.implementations.output import TOKENS, OutputError, VisionOutput, unpack
from vlbench.towers.tower import Tower
from vlbench.trial.accuracy import Grid, Input


def check_fits(yardstick: Tower, others: Iterable[Tower], grids: Sequence[Grid]) -> None:
    """Raises UsageError for grids that the yardstick cannot merge, or another tower that takes something else."""
    for _, rows, columns in grids:
        if rows % yardstick.merge or columns % yardstick.merge:
            raise UsageError(
                f"{yardstick.name}: it merges {yardstick.merge} x {yardstick.merge} patches, which does not divide "
                f"a grid of {rows}x{columns}; choose a scenario whose grids it divides"
            )
    for other in others:
        for field in ("patch_dim", "merge"):
            mine, theirs = getattr(yardstick, field), getattr(other, field)
            if mine != theirs:
                raise UsageError(
                    f"{other.name}: its {field} is {theirs}, that of {yardstick.name} {mine}; make them agree"
                )
        if other.model and yardstick.model not in (None, other.model):
            raise UsageError(f"{other.name} computes {other.model}, not {yardstick.model}; choose the same model")


def check_tokens(tower: Tower, module: nn.Module, entry: Input) -> None:
    """Raises UsageError unless `module` runs on `entry` and gives [N / merge**2, width]."""
    patches = entry.pixels.shape[0]
    tokens = patches // tower.merge**2
    try:
        with torch.inference_mode():
            returned = module(entry.pixels, entry.grid_thw)
    except Exception as error:  # whatever it raises
        lines = str(error).strip().splitlines()
        raise UsageError(
            f"{tower.name}: called with {patches} patches it raised {type(error).__name__}: "
            f"{lines[0] if lines else 'no message'}; say how to call it with `arguments` in a vlbench.Tower"
        ) from None
    shape, found = None, f"a {type(returned).__name__}"
    if isinstance(returned, Tensor | VisionOutput):
        try:
            shape = list(unpack(returned)[TOKENS].shape)
        except OutputError as error:
            raise UsageError(f"{tower.name}: {error}") from None
        found = f"a tensor {shape}"
    if shape is None or len(shape) != 2 or shape[0] != tokens:
        raise UsageError(
            f"{tower.name}: it returned {found} for {patches} patches instead of a tensor [{tokens}, width]; "
            "say how to get that with `tokens` and `merge` in a vlbench.Tower"
        )
