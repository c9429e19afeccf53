"""Do towers fit what they are fed, and each other? One sentence where not."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.output import TOKENS, OutputError, VisionOutput, unpack
from vlbench.implementations.preprocessing import Grid, Images, as_fields, difference
from vlbench.towers.tower import Tower
from vlbench.trial.accuracy import Input


def check_fits(reference: Tower, others: Iterable[Tower], grids: Sequence[Grid]) -> None:
    """Raises UsageError for grids that the reference tower cannot take, or another tower that takes something else."""
    if reason := reference.fed.misfit(grids):
        raise UsageError(f"{reference.name}: {reason}")
    for other in others:
        if differs := difference(as_fields(reference.fed), as_fields(other.fed)):
            field, mine, theirs = differs
            raise UsageError(f"{other.name}: its {field} is {theirs}, that of {reference.name} {mine}; make them agree")
        if other.model and reference.model not in (None, other.model):
            raise UsageError(f"{other.name} computes {other.model}, not {reference.model}; choose the same model")


def check_tokens(tower: Tower, module: nn.Module, entry: Input) -> None:
    """Raises UsageError unless `module` runs on `entry` and gives [N / merge**2, width], of images any tensor."""
    fed = tower.fed
    called_with = f"{len(entry.pixels)} {fed if isinstance(fed, Images) else 'patches'}"
    try:
        with torch.inference_mode():
            returned = module(entry.pixels, entry.grid_thw)
    except Exception as error:  # whatever it raises
        raise UsageError(
            f"{tower.name}: called with {called_with} it raised {in_one_line(error)}; say how to call it with "
            "`arguments`, and what it is fed with `preprocessing`, in a vlbench.Tower"
        ) from None
    tokens = None if isinstance(fed, Images) else len(entry.pixels) // fed.merge_size**2
    shape, found = None, f"a {type(returned).__name__}"
    if isinstance(returned, Tensor | VisionOutput):
        try:
            shape = list(unpack(returned)[TOKENS].shape)
        except OutputError as error:
            raise UsageError(f"{tower.name}: {error}") from None
        found = f"a tensor {shape}"
    if shape is None or (tokens is not None and (len(shape) != 2 or shape[0] != tokens)):
        raise UsageError(
            f"{tower.name}: it returned {found} for {called_with} instead of a tensor"
            f"{'' if tokens is None else f' [{tokens}, width]'}; say how to get that with `tokens` and `preprocessing` "
            "in a vlbench.Tower"
        )
