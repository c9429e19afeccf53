"""One call of each kernel on the host: what it is given, and what fp64 and plain torch make of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.implementations.grids import Batch
from tests.implementations.optimized.kernels.kernel_files import Watched
from tests.implementations.towers import NARROW_2_5, NARROW_3
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS
from vlbench.implementations.optimized.kernels import angles, norms, positions, rotation
from vlbench.implementations.optimized.position_ids import ids_on_host
from vlbench.implementations.optimized.positions import described
from vlbench.implementations.optimized.rope import RopeRows

ROUNDING = {torch.float32: 2e-6, torch.float16: 5e-4, torch.bfloat16: 8e-3}
"""Relative error of one: of fp32 some sums are behind it, and of bfloat16 the interpreter cuts the end off."""


def noise(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@dataclass(frozen=True)
class Case:
    """One kernel at one size."""

    flag: str
    config: VisionConfig
    patches: int
    launch: Callable[[torch.dtype], list[Tensor]]
    """The kernel's results, by the launch that a GPU would get."""
    plain: Callable[[torch.dtype], list[Tensor]]
    """Those of plain torch."""
    exact: Callable[[torch.dtype], list[Tensor]]
    """Those of fp64, from operands in the dtype."""
    more_bytes: int = 0
    """Beyond what the flag says of one image."""
    roundings: int = 1
    same_bits: bool = True
    """Are the kernel's those of plain torch in fp32?"""

    def check(self, watched: Watched, dtype: torch.dtype) -> None:
        """The kernel is right, and moves as many bytes as its flag says."""
        found = self.launch(dtype)
        for result, plain, exact in zip(found, self.plain(dtype), self.exact(dtype), strict=True):
            assert result.dtype == plain.dtype
            assert result.shape == plain.shape == exact.shape
            if self.same_bits and dtype is torch.float32:
                assert torch.equal(result, plain), "not the bits of plain torch"
            error = (result.double() - exact).abs() / exact.abs().clamp(min=1)
            assert error.max() <= self.roundings * ROUNDING[result.dtype], (
                f"{error.max():.1e} from fp64"
            )  # NaN is not at most anything
        rule = OPTIMIZATIONS[self.flag].traffic
        assert rule is not None
        traffic = rule(self.config, self.patches, dtype.itemsize)
        assert watched.moved == traffic.moved + self.more_bytes >= traffic.least > 0


def turning(head_dim: int, heads: int, patches: int) -> Case:
    """q and k of some heads."""
    config = replace(NARROW_2_5, hidden_size=heads * head_dim, num_heads=heads)
    angle = noise(patches, head_dim // 2, seed=1) * 9
    cos, sin = angle.cos(), angle.sin()

    def qkv(dtype: torch.dtype) -> Tensor:
        return noise(patches, 3 * heads * head_dim, dtype=dtype)

    def by(turn: Callable[..., None], dtype: torch.dtype) -> list[Tensor]:
        mine = qkv(dtype)
        turn(mine, cos, sin, heads)
        return [mine]

    def exact(dtype: torch.dtype) -> list[Tensor]:
        q, k, v = qkv(dtype).double().view(patches, 3, heads, head_dim).unbind(1)
        turns = torch.complex(cos.double(), sin.double()).unsqueeze(1)

        def turned(x: Tensor) -> Tensor:
            pairs = torch.complex(*x.chunk(2, dim=-1)) * turns
            return torch.cat((pairs.real, pairs.imag), dim=-1)

        return [torch.stack((turned(q), turned(k), v), dim=1).flatten(1)]

    return Case(
        rotation.FLAG,
        config,
        patches,
        lambda dtype: by(rotation.turn_on_gpu, dtype),
        lambda dtype: by(rotation.turn_plainly, dtype),
        exact,
    )


def computing_angles(head_dim: int, rows: int, columns: int) -> Case:
    """cos and sin of the ids of one image, in fp32 whatever the dtype."""
    config = replace(NARROW_2_5, hidden_size=head_dim, num_heads=1)
    ids = ids_on_host([(1, rows, columns)], 2, torch.device("cpu"))
    frequencies = RopeRows(config).inv_freq

    def exact(dtype: torch.dtype) -> list[Tensor]:
        wanted = (ids.unsqueeze(-1).float() * frequencies).double().flatten(1)
        return [wanted.cos(), wanted.sin()]

    return Case(
        angles.FLAG,
        config,
        rows * columns,
        lambda dtype: list(angles.cos_and_sin_on_gpu(ids, frequencies)),
        lambda dtype: list(angles.cos_and_sin_plainly(ids, frequencies)),
        exact,
        same_bits=False,
    )


def resampling(width: int, side: int, batch: Batch) -> Case:
    """The learned positions of some items."""
    config = replace(NARROW_3, hidden_size=width, num_heads=1, position_table=side * side)
    items = described(batch)
    patches = int(items[:, 3].sum())

    def table(dtype: torch.dtype) -> Tensor:
        return noise(side * side, width, dtype=dtype)

    def exact(dtype: torch.dtype) -> list[Tensor]:
        square = table(dtype).double().T.view(1, width, side, side)
        found = []
        for t, h, w in batch:
            image = F.interpolate(square, size=(h, w), mode="bilinear", align_corners=True)[0]
            cells = image.view(width, h // 2, 2, w // 2, 2).permute(1, 3, 2, 4, 0)
            found.append(cells.reshape(h * w, width).repeat(t, 1))
        return [torch.cat(found)]

    def by(resample: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
        return [resample(items, table(dtype), side, 2, patches, dtype)]

    return Case(
        positions.FLAG,
        config,
        patches,
        lambda dtype: by(positions.resample_on_gpu, dtype),
        lambda dtype: by(positions.resample_plainly, dtype),
        exact,
        more_bytes=patches * 8 * (len(batch) - 1),
    )


def normalising(width: int, rows: int, *, centred: bool) -> Case:
    """A sum and its LayerNorm or RMSNorm."""
    config = replace(NARROW_3 if centred else NARROW_2_5, hidden_size=width, num_heads=1)

    def given(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        x, more = (noise(rows, width, dtype=dtype, seed=seed) for seed in (1, 2))
        weight, bias = (noise(width, dtype=dtype, seed=seed) for seed in (3, 4))
        return x + 3, more, weight, bias if centred else None

    def exact(dtype: torch.dtype) -> list[Tensor]:
        x, more, weight, bias = given(dtype)
        total = (x + more).double()
        centre = total.mean(-1, keepdim=True) if centred else 0
        scaled = (total - centre) / ((total - centre).pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
        return [total, scaled * weight.double() + (bias.double() if bias is not None else 0)]

    return Case(
        norms.FLAG,
        config,
        rows,
        lambda dtype: list(norms.add_and_normalise_on_gpu(*given(dtype), 1e-6)),
        lambda dtype: list(norms.add_and_normalise_plainly(*given(dtype), 1e-6)),
        exact,
        roundings=8 if centred else 4,  # a sum that is cut off is not quite centred
        same_bits=False,
    )


CASES = {
    "rotation-64": turning(64, 3, 7),
    "rotation-72": turning(72, 1, 5),
    "rotation-80": turning(80, 3, 3),
    "angles-64": computing_angles(64, 2, 2),
    "angles-72": computing_angles(72, 6, 10),
    "angles-80": computing_angles(80, 2, 34),
    "positions-72": resampling(72, 6, ((1, 4, 10),)),
    "positions-24": resampling(24, 6, ((1, 4, 2), (2, 2, 6), (1, 6, 6))),
    "norms-rms": normalising(80, 3, centred=False),
    "norms-layer": normalising(72, 5, centred=True),
}
