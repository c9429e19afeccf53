"""Which attention backend torch chooses on CUDA: the order in which it asks them, and what each of them takes.

By torch 2.13 built for CUDA 13, with the profile's cuDNN, whatever is installed: sdp_utils.cpp and sdp_utils_cpp.h in
aten/src/ATen/native/transformers, held against what the wheels of 2.11, 2.12 and 2.13 compare with. The order and the
widths are the same in all three. Dropout by sixteenths is asked for since 2.12, at most 65,535 items and operands that
begin at 16 bytes since 2.13. Dense operands; nested ones do not get here.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from vlbench.counting_device.profiles import Profile

_HALF = (torch.float16, torch.bfloat16)
_NAMES = {3: "cudnn", 1: "flash", 2: "efficient", 0: "math"}
"""By torch's number, as `SDPBackend` has them."""
FLASH_FIRST, CUDNN_FIRST = (1, 2, 0, 3), (3, 1, 2, 0)
"""The two orders that torch itself sets."""
_MOST = 65_535
"""Batch and heads of a cuDNN attention."""


class Call(NamedTuple):
    """The operands of one attention: [batch, heads, tokens, head_dim] each."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None = None
    dropout: float = 0.0
    causal: bool = False
    gqa: bool = False

    @property
    def fits(self) -> bool:
        """Do batch and the width of query and key agree, and does nothing that is empty take part?"""
        q, k, v = self.query, self.key, self.value
        return (
            q.dim() == k.dim() == v.dim() == 4
            and q.size(0) == k.size(0) == v.size(0)
            and q.size(-1) == k.size(-1)
            and all(each.stride(-1) == 1 and 0 not in each.shape for each in (q, k, v))
            and (self.mask is None or self.mask.stride(-1) == 1)
        )

    def heads_fit(self, *, shared: bool = True, alike: bool = True) -> bool:
        """Are there as many heads of each, or where they may be `shared`, as many as queries divide by; those of key
        and value `alike`? Of operands that fit."""
        queries, keys, values = (each.size(1) for each in (self.query, self.key, self.value))
        if not (self.gqa and shared):
            return queries == keys == values
        return queries % keys == queries % values == 0 and (keys == values or not alike)

    @property
    def learns(self) -> bool:
        """May a backward follow?"""
        return torch.is_grad_enabled() and any(each.requires_grad for each in (self.query, self.key, self.value))


def version_of(profile: Profile) -> str:
    """The cuDNN of a profile, as counts keep it: also whether the environment has torch ask it last."""
    return f"{profile.cudnn}, deprioritized" if _is_last() else profile.cudnn


@contextmanager
def torchs_order(profile: Profile) -> Iterator[None]:
    """Within this block torch asks the backends in the order of the profile, unless somebody set one of their own."""
    before = tuple(torch._C._get_sdp_priority_order())
    if before[:4] in (FLASH_FIRST, CUDNN_FIRST):
        first = CUDNN_FIRST if profile.prefers_cudnn and not _is_last() else FLASH_FIRST
        torch._C._set_sdp_priority_order([*first, *before[4:]])
    try:
        yield
    finally:
        torch._C._set_sdp_priority_order(list(before))


def _is_last() -> bool:
    return os.environ.get("TORCH_CUDNN_SDPA_DEPRIORITIZED") == "1"


def backend(profile: Profile, call: Call) -> str:
    """`cudnn`, `flash`, `efficient` or `math`: the first that takes the call. RuntimeError where none does."""
    for number in torch._C._get_sdp_priority_order():
        name = _NAMES.get(number)
        if name is not None and _BACKENDS[name](profile, call):
            return name
    raise RuntimeError("No available kernel. Aborting execution.")


def _cudnn(profile: Profile, call: Call) -> bool:
    query, key, value, version = call.query, call.key, call.value, profile.cudnn_version
    exact = torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
    return (
        torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
        and (8, 0) <= profile.capability <= (12, 1)
        and not exact
        and query.dtype in _HALF
        and call.fits
        and call.heads_fit(alike=False)
        and _is_mask_for_cudnn(call)
        and (16.0 * call.dropout).is_integer()
        and not (call.dropout and (91_100 < version < 91_400 or query.size(2) == 1))
        and max(query.shape[:2]) <= _MOST
        and key.size(2) != 1
        and query.size(-1) % 8 == value.size(-1) % 8 == 0
        and max(query.size(-1), value.size(-1)) <= _widest(profile, query.size(-1), value.size(-1))
    )


def _widest(profile: Profile, head_dim: int, value_dim: int) -> int:
    """The largest head_dim that cuDNN takes (check_cudnn_tensor_shapes of sdp_utils.cpp, torch 2.11 to 2.13).

    From 2.14 on 256 asks for a cuDNN beyond 9.22.0, and 192 with 128 still for 9.11, on sm_90 as on sm_10x.
    """
    if profile.capability == (9, 0) and profile.cudnn_version >= 91_000:
        return 256
    if profile.major == 10 and profile.cudnn_version >= 91_100 and (head_dim, value_dim) == (192, 128):
        return 192
    return 128


def _is_mask_for_cudnn(call: Call) -> bool:
    if call.mask is None:
        return True
    batch, heads, tokens, _ = call.query.shape
    wanted = (batch, heads, tokens, call.key.size(2))
    return (
        not call.mask.requires_grad
        and call.mask.dim() in (2, 4)
        and all(size in (1, most) for size, most in zip(call.mask.shape[::-1], wanted[::-1], strict=False))
    )


def _flash(profile: Profile, call: Call) -> bool:
    return (
        torch.backends.cuda.flash_sdp_enabled()  # type: ignore[no-untyped-call]
        and profile.capability >= (8, 0)
        and call.query.dtype in _HALF
        and call.mask is None
        and call.fits
        and call.heads_fit()
        and (width := call.query.size(-1)) == call.value.size(-1) <= 256
        and not ((8, 6) <= profile.capability <= (8, 9) and call.learns and _is_wide_to_learn(width, call.dropout))
        and not (call.causal and call.query.size(2) != call.key.size(2))
    )


def _is_wide_to_learn(width: int, dropout: float) -> bool:
    return width > 192 and (width <= 224 or bool(dropout))


def _efficient(profile: Profile, call: Call) -> bool:
    dtype = call.query.dtype
    width = 8 if dtype in _HALF else 4 if profile.major >= 8 else 1  # elements of one load (minimum_gemm_alignment)
    return (
        torch.backends.cuda.mem_efficient_sdp_enabled()  # type: ignore[no-untyped-call]
        and (dtype in (torch.float32, torch.float16) or (dtype is torch.bfloat16 and profile.capability >= (8, 0)))
        and call.fits
        and call.heads_fit(shared=False)
        and call.query.size(-1) % width == 0
        and call.value.size(-1) % width == 0
        and (profile.major < 8 or not any(each.storage_offset() % width for each in call[:3]))
    )


_BACKENDS: dict[str, Callable[[Profile, Call], bool]] = {
    "cudnn": _cudnn,
    "flash": _flash,
    "efficient": _efficient,
    "math": lambda profile, call: bool(torch.backends.cuda.math_sdp_enabled()),  # type: ignore[no-untyped-call]
}
