"""Anyone's vision tower: all that vlbench has to know to build, call, check and time it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from math import isqrt
from typing import TYPE_CHECKING, Any

from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.config import MODELS
from vlbench.implementations.preprocessing import Fed, Images, Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from vlbench.implementations.output import VisionOutput


@dataclass(frozen=True)
class Tower:
    """A vision tower. Only `make` is needed; the defaults are those of Qwen2-VL and Qwen2.5-VL.

    N is the number of patches in a call, over all images and videos: the sum of frames x rows x columns of its grids.
    Raises UsageError for `patch_dim` and `merge`, which are part of what it is fed.
    """

    make: Callable[[torch.device, torch.dtype], nn.Module]
    """The module with weights of its own, on a device (`meta` among them) and in a dtype."""
    load: Callable[[Mapping[str, Tensor]], nn.Module] | None = None
    """The module with these weights, on their device and in their dtype. By default what `make` gives takes them by
    `load_state_dict`, so their keys and shapes must be its own."""
    model: str | None = None
    """Which of our models it computes, such as `qwen2.5-vl-7b`; then it is given that checkpoint's tensors."""
    arguments: Callable[..., tuple[Any, ...] | dict[str, Any]] | None = None
    """From pixels [N, patch_dim] on the device and grids [items, 3] of (frames, rows, columns) on the host to what a
    call takes, by position or by name. By default `(pixels, grid_thw)`, both on the device. Of a tower of images: from
    pixels [B, 3, H, W] alone, by default `(pixels,)`."""
    tokens: Callable[[Any], Tensor | VisionOutput] | None = None
    """From what a call returns to the tokens [N / merge**2, width], or of a tower of images to any tensor, such as
    [B, tokens, width]; or to a `vlbench.VisionOutput` of these and further tensors by name. By default it returns one
    of the two."""
    stages: Mapping[str, str] | None = field(default_factory=dict)
    """Module names to stage names, as in `{"blocks.*.attn": "block[{}].attention"}`: `*` is one part of a dotted name,
    `{}` what it stood for. None: the module marks its own stages."""
    preprocessing: Fed | None = None
    """What it is fed: `vlbench.Preprocessing(patch_size=16)` for patches with grids, `vlbench.Images(384)` for images
    [B, 3, 384, 384]. By default what `model` is fed, else patches as of Qwen2-VL."""
    source: str = ""
    """Whose it is, with a version; written into results."""
    name: str = "tower"
    platform: str = ""
    """Where its code is another than on the GPU that is asked about: for what, such as "CPU platform". A count with it
    compares with none without it."""
    prepare: Callable[..., dict[str, Any]] | None = None
    """Where its call takes what follows from the grids, made before: from the module, grids [items, 3] (on the device
    without `arguments`) and whether lengths are wanted on the host, to that, by the names of its call. With two
    arguments it has no lengths to put there. See `--plan`."""
    patch_dim: InitVar[int | None] = None
    merge: InitVar[int | None] = None

    def __post_init__(self, patch_dim: int | None, merge: int | None) -> None:
        if patch_dim is not None or merge is not None:
            raise UsageError(_written_now(patch_dim, merge))
        for part, needed in {"make": True, **dict.fromkeys(("load", "arguments", "tokens", "prepare"), False)}.items():
            given = getattr(self, part)
            if not callable(given) and (needed or given is not None):
                raise UsageError(f"vlbench.Tower: {part} is {given!r:.60}, which cannot be called; give a function")
        if self.prepare is not None:
            from vlbench.implementations.adapted import takes_host_lengths

            try:
                takes_host_lengths(self.prepare)
            except TypeError as error:
                raise UsageError(f"vlbench.Tower: {error}") from None
        if not isinstance(self.platform, str):
            raise UsageError(f"vlbench.Tower: platform is {self.platform!r:.60}; give a word or two, or leave it out")
        if self.model is not None and self.model not in MODELS:
            raise UsageError(f"vlbench.Tower: there is no model {self.model!r:.60}; choose one of {', '.join(MODELS)}")
        if self.preprocessing is not None and not isinstance(self.preprocessing, Preprocessing | Images):
            told = f"preprocessing is {self.preprocessing!r:.60}"
            raise UsageError(f"vlbench.Tower: {told}; give a vlbench.Preprocessing or vlbench.Images")

    @property
    def fed(self) -> Fed:
        """What it is fed, by default what its model is."""
        if self.preprocessing is not None:
            return self.preprocessing
        return MODELS[self.model].preprocessing if self.model in MODELS else Preprocessing()

    def module(
        self, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Tensor] | None = None
    ) -> nn.Module:
        """The bare module, ready for inference, with `weights` or with its own. Raises UsageError."""
        from torch import nn

        load = self.load
        try:
            module = self.make(device, dtype) if weights is None or load is None else load(weights)
        except SystemExit as error:
            raise UsageError(f"{self.name}: building it ended with {in_one_line(error)}; return a module") from None
        if not isinstance(module, nn.Module):
            raise UsageError(f"{self.name}: it made a {type(module).__name__}, not a torch.nn.Module; return a module")
        if weights is not None and load is None:
            if reason := mismatch(module, weights):
                raise UsageError(f"{self.name}: {reason}; give `load` in its vlbench.Tower")
            module.load_state_dict(weights, assign=True)
        return module.requires_grad_(False).eval()

    def adapted(self, module: nn.Module) -> nn.Module:
        """`module`, called like ours: `(pixels, grid_thw) -> tokens`. Raises UsageError for stages that fit nothing."""
        arguments = self.arguments
        if isinstance(self.fed, Images):
            of_images: Callable[..., Any] = arguments or (lambda pixels: (pixels,))
            arguments = lambda pixels, _: of_images(pixels)  # noqa: E731
        if arguments is None and self.tokens is None and self.stages is None and self.prepare is None:
            return module
        from vlbench.implementations.adapted import AdaptedTower

        try:
            return AdaptedTower(module, arguments, self.tokens, self.stages, self.prepare)
        except ValueError as error:
            raise UsageError(f"{self.name}: {error}") from None

    def build(self, device: torch.device, dtype: torch.dtype, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
        """Made, ready for inference, and called like ours. Raises UsageError."""
        return self.adapted(self.module(device, dtype, weights))


def _written_now(patch_dim: int | None, merge: int | None) -> str:
    """How `patch_dim` and `merge` of earlier versions are written, in one sentence."""
    given = {"patch_dim": patch_dim, "merge": merge}
    wanted: dict[str, object] = {}
    if patch_dim is not None:
        frames = next((t for t in (2, 1) if 3 * t * isqrt(patch_dim // (3 * t)) ** 2 == patch_dim), None)
        side = isqrt(patch_dim // (3 * frames)) if frames else "..."
        wanted["patch_size"] = side
        if frames != 2:
            wanted["temporal_patch_size"] = frames or "..."
    if merge is not None:
        wanted["merge_size"] = merge
    gone = " and ".join(f"{name}={value}" for name, value in given.items() if value is not None)
    now = ", ".join(f"{name}={value}" for name, value in wanted.items())
    return f"vlbench.Tower: {gone} is part of what a tower is fed; write preprocessing=vlbench.Preprocessing({now})"


def mismatch(module: nn.Module, weights: Mapping[str, Tensor]) -> str | None:
    """Why `module` cannot take `weights` by their keys and shapes, None where it can."""
    own = {key: tensor.shape for key, tensor in module.state_dict().items()}
    if missing := sorted(own.keys() - weights.keys()):
        return f"its {missing[0]!r} is not among the weights ({len(missing)} of {len(own)} are not)"
    if unknown := sorted(weights.keys() - own.keys()):
        return f"it has no {unknown[0]!r}, which the weights have ({len(unknown)} such tensors)"
    if other := [key for key, shape in own.items() if shape != weights[key].shape]:
        return f"its {other[0]!r} is {list(own[other[0]])}, that of the weights {list(weights[other[0]].shape)}"
    return None
