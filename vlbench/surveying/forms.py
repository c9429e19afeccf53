"""What a tower is fed, argument by argument, in words.

`pixels N D` is a tensor of floats of that shape; a dimension is a product of numbers and of the names below, joined by
`*`. `mask N` is one of ones. The others are integers that follow from the grids: `thw` and `hw` are [B, 3] and [B, 2];
`merges` [B] is the side of such a cell; `positions` [B, L, 2] are column and row of
each patch.

    B  pictures               D  values in a row of patches    P  side of a patch
    N  patches of all         C  channels                      H, W  height and width of an image
    L  patches of each, where they have as many                M  side of a merged cell
    T  frames in a patch
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import Grid

PATCHES, CUT, IMAGES = "patches", "cut patches", "images"
FORMS = {PATCHES: "pixels N D", CUT: "pixels N C P P", IMAGES: "pixels B C H W"}
"""Usual ones, by what the first argument is; beside it goes the grid of the first two, where the call takes one."""
_DIMENSION = r"(?:\d+|[BNLDCTPHWM])(?:\*(?:\d+|[BNLDCTPHWM]))*"
_INPUT = re.compile(rf"(?:pixels|mask)(?: {_DIMENSION})+|thw|hw|merges|positions")
_PATCH = re.compile(r"patch|proj|conv|stem", re.IGNORECASE)
_NOT_PATCH = re.compile(r"pos|norm|merger|bias|scale", re.IGNORECASE)


def check_input(name: str, text: str) -> None:
    """Raises ValueError for an input in other words than these."""
    if not _INPUT.fullmatch(text):
        raise ValueError(f"the input {name} is {text!r}, which is none of the words of vlbench/surveying/forms.py")


@dataclass(frozen=True)
class Sizes:
    """What the dimensions of a tower's input are."""

    grids: tuple[Grid, ...]
    merge: int
    names: Mapping[str, int]

    def shape(self, dimensions: str) -> tuple[int, ...]:
        """The numbers that `dimensions` stand for. Raises UsageError for one that the tower does not say."""
        try:
            return tuple(
                prod(int(each) if each.isdigit() else self.names[each] for each in part.split("*"))
                for part in dimensions.split()
            )
        except KeyError as error:
            raise UsageError(f"nothing says how large {error} is; write the number in its inputs") from None


def sizes_of(module: nn.Module, grids: tuple[Grid, ...]) -> Sizes:
    """The sizes that a built tower says: by the weights of its first patches, and by its config."""
    config = getattr(module, "config", None)
    merge = _whole(config, "spatial_merge_size", "merge_size") or 1
    patches = [prod(grid) for grid in grids]
    names = {"B": len(grids), "N": sum(patches), "M": merge, "C": 3, "T": 1}
    if len(set(patches)) == 1:
        names["L"] = patches[0]
    if weight := first_weight(module):
        side = _whole(config, "patch_size") or 0
        names["D"] = prod(weight[1:])
        if len(weight) >= 4:
            names |= {"C": weight[1], "P": weight[-1], "T": weight[2] if len(weight) == 5 else 1}
        elif side:
            names |= {"P": side, "T": max(1, names["D"] // (3 * side**2))}
    height, width = _sides(getattr(config, "image_size", None)) or (0, 0)
    return Sizes(grids, merge, names | ({"H": height, "W": width} if height else {}))


def first_weight(module: nn.Module) -> tuple[int, ...] | None:
    """The shape of the weight that takes in patches."""
    weights = {name: tuple(each.shape) for name, each in module.named_parameters() if each.dim() >= 2}
    named = [each for name, each in weights.items() if _PATCH.search(name) and not _NOT_PATCH.search(name)]
    return next(iter(named or [each for each in weights.values() if len(each) >= 4]), None)


def form_inputs(module: nn.Module, form: str) -> dict[str, str]:
    """A usual form by the names of the call's arguments. Raises UsageError where the call needs more than that."""
    known = [
        each
        for each in signature(module.forward).parameters.values()
        if each.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    ]
    inputs = {known[0].name: FORMS[form]} if known else {}
    if form != IMAGES:
        inputs |= {each.name: "thw" for each in known[1:] if "grid" in each.name or each.name.endswith("thw")}
    lacking = [each.name for each in known if each.default is Parameter.empty and each.name not in inputs]
    if lacking or not inputs or (form != IMAGES and len(inputs) < 2):
        raise UsageError(f"it is not called as {form} are: {', '.join(lacking) or 'it takes no grid'}")
    return inputs


def form_of(told: str) -> str:
    """The usual form that inputs in words, as `described` has them, were made by."""
    first = told.partition(", ")[0].partition(": ")[2]
    return next(name for name, words in FORMS.items() if words == first)


def described(inputs: Mapping[str, str]) -> str:
    """The inputs in one line."""
    return ", ".join(f"{name}: {text}" for name, text in inputs.items())


def fed(inputs: Mapping[str, str], sizes: Sizes, pixels: Callable[[tuple[int, ...]], Tensor]) -> dict[str, Tensor]:
    """The arguments of a call; integers are on the host, `pixels` makes floats of a shape."""
    return dict(_fed(inputs, sizes, pixels))


def _fed(
    inputs: Mapping[str, str], sizes: Sizes, pixels: Callable[[tuple[int, ...]], Tensor]
) -> Iterator[tuple[str, Tensor]]:
    for name, text in inputs.items():
        kind, _, rest = text.partition(" ")
        match kind:
            case "pixels":
                yield name, pixels(sizes.shape(rest))
            case "mask":
                yield name, torch.ones(sizes.shape(rest), dtype=torch.int64)
            case "thw":
                yield name, torch.tensor(sizes.grids)
            case "hw":
                yield name, torch.tensor([[h, w] for _, h, w in sizes.grids])
            case "merges":
                yield name, torch.tensor([sizes.merge for _ in sizes.grids])
            case _:
                yield name, torch.tensor([[[x, y] for y in range(h) for x in range(w)] * t for t, h, w in sizes.grids])


def takes_integers(inputs: Mapping[str, str]) -> bool:
    """Is there anything of which the host may know the values?"""
    return any(not text.startswith("pixels") for text in inputs.values())


def _whole(config: Any, *names: str) -> int | None:
    found = (_sides(getattr(config, name, None)) for name in names)
    return next((each[0] for each in found if each), None)


def _sides(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value, value
    if isinstance(value, list | tuple) and len(value) >= 2 and all(isinstance(each, int) for each in value):
        return value[-2], value[-1]
    return None
