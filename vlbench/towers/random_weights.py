"""Random weights for towers that bring none: the same for every tower of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlbench.implementations.config import VisionConfig

if TYPE_CHECKING:
    import torch

    from vlbench.implementations.weights import SharedTensors

SEED = 0
"""Of weights, and before each call of a factory: whatever it draws, it draws again."""


def drawn(config: VisionConfig, device: torch.device, dtype: torch.dtype) -> SharedTensors:
    """Random weights of one of our models; on `meta`, their shapes alone."""
    import torch

    from vlbench.implementations.weights import SharedTensors, parameter_shapes, random_weights

    if device.type == "meta":
        shapes = parameter_shapes(config)
        return SharedTensors({key: torch.empty(shape, dtype=dtype, device=device) for key, shape in shapes.items()})
    drawn = random_weights(config, SEED, dtype)
    return SharedTensors({key: tensor.to(device) for key, tensor in drawn.items()})
