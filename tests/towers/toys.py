"""Towers of nobody's: small modules behind `tests.towers.toys:NAME`, right and wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

import vlbench

WIDTH = 16
A_NUMBER = 3


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("angles", torch.ones(WIDTH) / 3, persistent=False)
        self.angles: Tensor

    def forward(self, x: Tensor) -> Tensor:
        rotated: Tensor = self.mlp(x) * self.angles.to(x.dtype)
        return x + rotated


class Toy(nn.Module):
    """Pixels [N, patch_dim] to tokens [N / merge**2, WIDTH]."""

    def __init__(self, patch_dim: int = 1176, merge: int = 2) -> None:
        super().__init__()
        self.patch_embed = nn.Linear(patch_dim, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.merger = nn.Linear(merge**2 * WIDTH, WIDTH)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        if int(grid_thw.prod(dim=1).sum()) != pixels.shape[0]:
            raise ValueError("the pixels are those of other grids")
        x = self.patch_embed(pixels)
        for block in self.blocks:
            x = block(x)
        tokens: Tensor = self.merger(x.view(-1, self.merger.in_features))
        return tokens


class Again(Toy):
    """The same by other means."""

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return super().forward(pixels * 1.0, grid_thw)


class Wrong(Toy):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return super().forward(pixels.flip(0), grid_thw)


class WrongOnVideo(Toy):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return super().forward(pixels * grid_thw[:, 0].max(), grid_thw)


class Deep(Toy):
    """Tokens, and what its first block makes, a thousand times smaller."""

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        return vlbench.VisionOutput(super().forward(pixels, grid_thw), {"deep": self.deep(pixels)})

    def deep(self, pixels: Tensor) -> Tensor:
        first: Tensor = self.blocks[0](self.patch_embed(pixels))
        return first * 1e-3


class WrongDeep(Deep):
    def deep(self, pixels: Tensor) -> Tensor:
        return super().deep(pixels) * 1.01


class LateDeep(Deep):
    """Right until it is timed."""

    calls = 0

    def deep(self, pixels: Tensor) -> Tensor:
        self.calls += 1
        return super().deep(pixels) * (1.01 if self.calls > 12 else 1.0)


class Fused(Toy):
    """Its merger has another key."""

    def __init__(self) -> None:
        super().__init__()
        self.last = self.merger
        del self.merger

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        x = self.patch_embed(pixels)
        for block in self.blocks:
            x = block(x)
        tokens: Tensor = self.last(x.view(-1, 4 * WIDTH))
        return tokens


class ByName(Toy):
    """Called by keyword, with grids as a list, and wrapping what it returns."""

    def forward(self, *, images: Tensor, sizes: list[list[int]]) -> Any:  # type: ignore[override]
        return SimpleNamespace(tokens=super().forward(images, torch.tensor(sizes)), other=1)


STAGES = {"patch_embed": "patch_embed", "blocks.*.mlp": "block[{}].mlp", "merger": "merger"}


def staged() -> vlbench.Tower:
    return vlbench.Tower(lambda device, dtype: Toy().to(device, dtype), stages=STAGES, source="toys 1.0")


def by_name() -> vlbench.Tower:
    return vlbench.Tower(
        lambda device, dtype: ByName().to(device, dtype),
        arguments=lambda pixels, grid_thw: {"images": pixels, "sizes": grid_thw.tolist()},
        tokens=lambda returned: returned.tokens,
    )


def large_patches() -> vlbench.Tower:
    return vlbench.Tower(
        lambda device, dtype: Toy(1536, 1).to(device, dtype),
        preprocessing=vlbench.Preprocessing(patch_size=16, merge_size=1),
    )


def wide_merge() -> vlbench.Tower:
    return vlbench.Tower(
        lambda device, dtype: Toy(merge=4).to(device, dtype), preprocessing=vlbench.Preprocessing(merge_size=4)
    )


def loading() -> vlbench.Tower:
    """Takes the weights of Toy under its own names."""

    def load(weights: Any) -> nn.Module:
        module = Fused()
        state = {key.replace("merger", "last"): tensor for key, tensor in weights.items()}
        module.load_state_dict(state, assign=True)
        return module

    return vlbench.Tower(lambda device, dtype: Fused().to(device, dtype), load)


def no_stage() -> vlbench.Tower:
    return vlbench.Tower(lambda device, dtype: Toy().to(device, dtype), stages={"layers.*": "block[{}]"})


def makes_a_list() -> vlbench.Tower:
    return vlbench.Tower(lambda device, dtype: [])  # type: ignore[arg-type, return-value]


A_TOWER = staged()


def grids_there(module: nn.Module, grid_thw: Tensor, host_lengths: bool) -> dict[str, Tensor]:
    return {"grids": grid_thw.cpu() if host_lengths else grid_thw}


PLANNED = vlbench.Tower(lambda device, dtype: Toy().to(device, dtype), prepare=grids_there)
"""Says that it takes a plan."""
PLANNED_THERE = vlbench.Tower(PLANNED.make, prepare=lambda module, grid_thw: {"grids": grid_thw})
"""The same, with nothing that could be on the host."""


def raises() -> nn.Module:
    raise RuntimeError("no checkpoint here\nand more lines")


def nothing() -> None:
    return None


def needs_an_argument(depth: int) -> nn.Module:
    raise AssertionError(depth)


class NoTensor(Toy):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        return (super().forward(pixels, grid_thw),)


class PerPatch(Toy):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        patches: Tensor = self.patch_embed(pixels)
        return patches


class OtherCall(Toy):
    def forward(self, pixels: Tensor) -> Tensor:  # type: ignore[override]
        patches: Tensor = self.patch_embed(pixels)
        return patches


class Images(nn.Module):
    """A small ViT: images [B, 3, H, W] to tokens [B, H / 4 x W / 4, WIDTH]."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.mlp = nn.Linear(WIDTH, WIDTH)

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.patch_embed(images).flatten(2).transpose(1, 2)
        scores = torch.softmax(x @ x.transpose(1, 2), dim=-1)
        return x + self.mlp(scores @ x)


class ImagesWrong(Images):
    """Its last token of the first image is off."""

    def forward(self, images: Tensor) -> Tensor:
        tokens = super().forward(images)
        tokens[0, -1] += 100
        return tokens


class ImagesListed(Images):
    def forward(self, images: Tensor) -> Any:
        return list(super().forward(images))


def images_of(device: torch.device, dtype: torch.dtype) -> nn.Module:
    return Images().to(device, dtype)


def images() -> vlbench.Tower:
    return vlbench.Tower(images_of, preprocessing=vlbench.Images(8), stages={"mlp": "mlp"})


def images_again() -> vlbench.Tower:
    """Called by keyword."""
    return vlbench.Tower(images_of, preprocessing=vlbench.Images(8), arguments=lambda pixels: {"images": pixels * 1.0})


def images_large() -> vlbench.Tower:
    return vlbench.Tower(images_of, preprocessing=vlbench.Images(16))


def images_wrong() -> vlbench.Tower:
    return vlbench.Tower(lambda device, dtype: ImagesWrong().to(device, dtype), preprocessing=vlbench.Images(8))


def images_listed() -> vlbench.Tower:
    return vlbench.Tower(lambda device, dtype: ImagesListed().to(device, dtype), preprocessing=vlbench.Images(8))


def ends() -> nn.Module:
    """As a script would that checks its machine."""
    raise SystemExit("no GPU here")
