"""`rope-ids-triton`: from ids to cos and sin at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...config import VisionConfig
from ...operators import operator
from ..rope import CosSin, Rope, RopeRows, rope_rows
from ..seam import Exactness
from ..traffic import Traffic
from .launch import ON_A_CPU, ON_A_GPU, block, launch

FLAG = "rope-ids-triton"
PATCHES = 8
"""Of one program."""


def cos_and_sin_plainly(ids: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """In plain torch."""
    angles = (ids.unsqueeze(-1).float() * frequencies).flatten(1)
    return angles.cos(), angles.sin()


def cos_and_sin_on_gpu(ids: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """PATCHES patches a program."""
    cos, sin = empty(ids, frequencies)
    patches, quarter = ids.shape[0], frequencies.shape[0]
    sizes = {"quarter": quarter, "block_patches": PATCHES, "block_half": block(2 * quarter)}
    launch(
        "angles.cos_and_sin", FLAG, -(-patches // PATCHES), ids.contiguous(), frequencies, cos, sin, patches, **sizes
    )
    return cos, sin


def empty(ids: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin, [N, head_dim / 2] each, not yet written."""
    shape = ids.shape[0], 2 * frequencies.shape[0]
    return frequencies.new_empty(shape), frequencies.new_empty(shape)


cos_and_sin = operator(
    "cos_and_sin(Tensor ids, Tensor frequencies) -> (Tensor, Tensor)",
    plain=cos_and_sin_plainly,
    gpu=cos_and_sin_on_gpu,
    fake=empty,
)


def traffic(config: VisionConfig, patches: int, element: int) -> Traffic:
    """Ids are read and cos and sin written once; the frequencies come anew for every program, from the cache."""
    half, programs = config.head_dim // 2, -(-patches // PATCHES)
    own = patches * (2 * torch.int64.itemsize + 2 * half * 4)
    return Traffic(own + programs * half * 4, own + half // 2 * 4)


@rope_rows.optimization(
    FLAG,
    removes=f"the angle table, its look-up and the layers' trigonometry, for one kernel; {ON_A_CPU}",
    exactness=Exactness.ULP,
    source="SGLang #26398, vLLM #35058",
    traffic=traffic,
    note=ON_A_GPU,
)
class CosSinFromIds(RopeRows):
    """No table, so no longest side: the kernel takes the ids, which are sent to the device where they are not there."""

    def forward(self, ids: Tensor, longest_side: Callable[[], int]) -> Rope:
        """cos and sin of the rows and columns `ids` [N, 2]."""
        return CosSin(*cos_and_sin(ids.to(self.inv_freq.device), self.inv_freq))
