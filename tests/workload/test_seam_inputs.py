"""Every way of every seam gives what the naive one gives, and the naive one gives what it should."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness
from vlbench.implementations.output import VisionOutput, unpack
from vlbench.record.exactness import FP32_LIMITS
from vlbench.trial.difference import relative_error
from vlbench.workload.seam_case import CONTENTS, SeamCase, SeamInputs, Setting
from vlbench.workload.seams import CASES, find_seam_case

CONFIG = MODELS["qwen2.5-vl-tiny"]
CPU = torch.device("cpu")
ON_CPU = {name: case for name, case in CASES.items() if not case.needs_gpu}
NAIVE: frozenset[str] = frozenset()
BATCHED = ("host-seqlens", "batched-windows")
FLAGS = [
    (name, flag)
    for name, case in CASES.items()
    for seam in case.seams
    for flag in seam.flags
    if flag not in ("batched-windows", "window-ladder", "host-max-seqlen")  # with what they need, below
    if OPTIMIZATIONS[flag].exactness is not Exactness.RESULT_CHANGING
] + [
    ("attention", flags)
    for flags in (
        "host-seqlens+batched-windows",
        "host-seqlens+batched-windows+window-ladder",
        "varlen+host-max-seqlen",
        "varlen+host-seqlens",
    )
]


def made(case: SeamCase, size: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> SeamInputs:
    device = torch.device("cuda" if case.needs_gpu and torch.cuda.is_available() else "cpu")
    return case.make(size, Setting(CONFIG, dtype, device, torch.Generator().manual_seed(seed)))


def parts(output: Tensor | VisionOutput | tuple[Tensor, ...]) -> list[Tensor]:
    whole = output if isinstance(output, tuple) else tuple(unpack(output).values())
    return [part.clone() for part in whole]


def outputs(inputs: SeamInputs, flags: frozenset[str]) -> list[list[Tensor]]:
    way = inputs.way(flags, torch.float32)
    return [parts(way(*(part.clone() for part in arguments))) for arguments in inputs.arguments]


@pytest.mark.parametrize(("name", "flags"), FLAGS, ids=lambda value: value)
@pytest.mark.parametrize("rung", [0, 1])
def test_every_way_gives_what_the_naive_one_gives(name: str, flags: str, rung: int) -> None:
    case = CASES[name]
    if {"pinned-h2d", "inverse-pinned"} & {flags} and not torch.cuda.is_available():
        pytest.skip("pinned memory needs a CUDA device")
    chosen = frozenset(flags.split("+"))
    inputs = made(case, list(case.sizes.values())[min(rung, len(case.sizes) - 1)])
    limit = max(FP32_LIMITS[str(OPTIMIZATIONS[flag].exactness)] for flag in chosen)
    for got, wanted in zip(outputs(inputs, chosen), outputs(inputs, NAIVE), strict=True):
        assert len(got) == len(wanted)
        for ours, theirs in zip(got, wanted, strict=True):
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            assert torch.equal(ours, theirs) if limit == 0 else relative_error(ours, theirs) <= limit


@pytest.mark.parametrize("name", ON_CPU)
def test_contents_differ_shapes_do_not_and_the_seed_decides(name: str) -> None:
    case = ON_CPU[name]
    size = min(case.sizes.values())
    first, again = made(case, size), made(case, size)
    assert len(first.arguments) == CONTENTS
    assert len({tuple(part.shape for part in arguments) for arguments in first.arguments}) == 1
    results = [torch.cat([part.flatten().double() for part in each]) for each in outputs(first, NAIVE)]
    assert not any(torch.equal(results[0], other) for other in results[1:])
    for one, other in zip(first.arguments, again.arguments, strict=True):
        assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("name", ON_CPU)
def test_floating_inputs_are_of_the_timed_dtype(name: str) -> None:
    case = ON_CPU[name]
    inputs = made(case, min(case.sizes.values()), dtype=torch.bfloat16)
    found = {part.dtype for arguments in inputs.arguments for part in arguments if part.is_floating_point()}
    assert found <= {torch.bfloat16}
    for part in parts(inputs.way(NAIVE, torch.bfloat16)(*inputs.arguments[0])):
        assert part.dtype is torch.bfloat16 or not part.is_floating_point()


@pytest.mark.parametrize("cells", ON_CPU["inverse-permutation"].sizes.values())
def test_the_inverse_undoes_the_order(cells: int) -> None:
    inputs = made(ON_CPU["inverse-permutation"], cells)
    for (order, _), (back,) in zip(inputs.arguments, outputs(inputs, NAIVE), strict=True):
        assert order.sort().values.tolist() == list(range(cells))
        assert order[back].tolist() == list(range(cells))


@pytest.mark.parametrize("flags", [NAIVE, frozenset(BATCHED), frozenset({*BATCHED, "window-ladder"})])
def test_attention_stays_in_the_windows_of_the_image(flags: frozenset[str]) -> None:
    """Against one call with a mask; 18 cells a side leave windows of every size."""
    inputs = made(ON_CPU["attention"], 36)
    sides = [4, 4, 4, 4, 2]
    lengths = torch.tensor([4 * a * b for a in sides for b in sides])
    window = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    mask = window[:, None] == window[None, :]
    q, k, v = (part.double().transpose(1, 2) for part in inputs.arguments[0])
    wanted = scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)
    ((output,), *_) = outputs(inputs, flags)
    assert relative_error(output, wanted) < 1e-6


def test_three_quarters_of_the_prompt_are_vision() -> None:
    inputs = made(ON_CPU["merge"], 1024)
    for (embeddings, vision, ids, _), (merged,) in zip(inputs.arguments, outputs(inputs, NAIVE), strict=True):
        places = ids == 151_655
        assert vision.shape[0] == int(places.sum()) == 768
        assert torch.equal(merged[places], vision)
        assert torch.equal(merged[~places], embeddings[~places])


@pytest.mark.parametrize("name", ["transfer", "pinning"])
def test_a_rung_of_copies_is_of_its_size(name: str) -> None:
    case = CASES["transfer"]
    for size in case.sizes.values():
        for arguments in made(case, size).arguments:
            assert 0.9 * size <= sum(part.nbytes for part in arguments) <= size


def test_an_unknown_seam() -> None:
    every = ", ".join(CASES)
    with pytest.raises(UsageError, match=rf"^--seam: 'rop' is not one of {every}; did you mean rope.$"):
        find_seam_case("rop")
    with pytest.raises(UsageError, match=r"; choose one of them$"):
        find_seam_case("zzz")


def test_every_seam_says_what_one_call_does() -> None:
    for case in CASES.values():
        assert case.title
        assert not case.title.endswith(".")
        assert list(case.sizes.values()) == sorted(set(case.sizes.values()))
