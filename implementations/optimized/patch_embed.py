"""From pixels to hidden states: a convolution whose kernel is the whole input, or the product that it equals."""

from collections.abc import Callable

from torch import Tensor, nn

from ..config import VisionConfig
from .advice import InCapture
from .seam import Exactness, FlagSet, Seam

Embed = Callable[[nn.Conv3d, Tensor], Tensor]
"""(projection, pixels [N, patch_dim]) to [N, C]."""

embedding: Seam[Embed] = Seam("patch embedding")


@embedding.naive
def convolve(proj: nn.Conv3d, pixels: Tensor) -> Tensor:
    """Conv3d with kernel = stride = input: one output position per patch."""
    return proj(pixels.view(-1, proj.in_channels, *proj.kernel_size)).view(-1, proj.out_channels)


@embedding.optimization(
    "patch-matmul",
    removes="Conv3d, which torch 2.9 alone runs 10 to 1000 times slower than the product it equals (pytorch #174051)",
    exactness=Exactness.REASSOCIATED,
    source="vLLM Conv3dLayer; SGLang; transformers #45041",
    advice=(
        InCapture(
            "3-d convolution kernels",
            "the patch embedding is a matrix product",
            kernel=r"(?i)conv3d|vol2col|convolveNd|implicit_gemm.*3d|fprop.*ndhwc",
        ),
    ),
)
def multiply(proj: nn.Conv3d, pixels: Tensor) -> Tensor:
    """A patch row is laid out as the kernel is: channel, frame, row, column."""
    product = pixels @ proj.weight.view(proj.out_channels, -1).T
    return product if proj.bias is None else product + proj.bias


def patch_projection(config: VisionConfig) -> nn.Conv3d:
    """The projection of patches to hidden states, whose kernel is one patch."""
    kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
    return nn.Conv3d(config.in_channels, config.hidden_size, kernel, stride=kernel, bias=config.patch_bias)


class PatchEmbed(nn.Module):
    """Pixels [N, patch_dim] to hidden states [N, C]."""

    def __init__(self, config: VisionConfig, flags: FlagSet) -> None:
        super().__init__()
        self.proj = patch_projection(config)
        self.embed = embedding.way(flags)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [N, patch_dim] to [N, C]."""
        return self.embed(self.proj, pixels)
