"""The token of an output that is furthest from what was wanted, and where in the batch it is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vlbench.implementations.preprocessing import Grid
from vlbench.record.exactness import Token


def worst_token(output: Tensor, wanted: Tensor, grids: Sequence[Grid], merge: int = 2) -> Token:
    """The token [N / 4, width] with the largest error; the first that is NaN or infinite, where one is."""
    errors = (output.double() - wanted.double()).norm(dim=1)
    scale = wanted.double().norm(dim=1).square().mean().sqrt()
    index = int(errors.nan_to_num(torch.inf, posinf=torch.inf).argmax())
    error, place = float(errors[index] / scale), index
    for item, (t, h, w) in enumerate(grids):
        rows, columns = h // merge, w // merge
        if place < t * rows * columns:
            frame, cell = divmod(place, rows * columns)
            return Token(item=item, frame=frame, row=cell // columns, column=cell % columns, error=error)
        place -= t * rows * columns
    raise ValueError("more tokens than the grids have")


def worst_in_images(output: Tensor, wanted: Tensor, images: int) -> Token | None:
    """The token with the largest error of [images, tokens, width], else the image; None for what is not by images."""
    if output.ndim < 2 or len(output) != images:
        return None
    tokens = output.shape[1] if output.ndim == 3 else 1
    grids = [(1, 1, tokens)] * images
    return worst_token(output.reshape(images * tokens, -1), wanted.reshape(images * tokens, -1), grids, merge=1)
