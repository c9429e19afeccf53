from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.implementations.towers import TINY, weights_of
from tests.implementations.wrong_towers import WRONG_TOWERS
from vlbench.implementations import build_tower
from vlbench.implementations.output import VisionOutput
from vlbench.implementations.weights import random_weights
from vlbench.record.exactness import Accuracy, Token
from vlbench.trial.accuracy import Grid, Input, Judge, awkward_inputs
from vlbench.trial.worst import worst_token

# Real towers, right and wrong.

QWEN2_5 = TINY[1]
NEAT = ((1, 16, 16),)


def inputs(dtype: torch.dtype) -> list[Input]:
    """A neat image, and the awkward batch that every trial adds."""
    pixels = torch.randn(256, QWEN2_5.patch_dim, generator=torch.Generator().manual_seed(1))
    neat = Input(pixels, torch.tensor(NEAT))
    return [entry.to(dtype) for entry in (neat, *awkward_inputs(QWEN2_5.preprocessing, torch.device("cpu"), 0))]


@cache
def judge(dtype: torch.dtype) -> Judge:
    golden = build_tower(QWEN2_5, None, weights_of(QWEN2_5))
    yardstick = golden if dtype is torch.float32 else build_tower(QWEN2_5, None, weights_of(QWEN2_5, dtype))
    return Judge(inputs(dtype), dtype, golden, yardstick)


@pytest.mark.parametrize("mistake", WRONG_TOWERS)
def test_a_wrong_tower_fails(mistake: str) -> None:
    verdict = judge(torch.float32).check("reassociated", lambda: WRONG_TOWERS[mistake](QWEN2_5, weights), never)
    assert not verdict.passed
    assert verdict.fp32_error is not None
    assert verdict.fp32_error > 20 * verdict.fp32_limit
    assert verdict.reason
    assert verdict.worst_token


weights = weights_of(QWEN2_5)


def never() -> nn.Module:
    raise AssertionError("in fp32 there is nothing else to build")


@pytest.mark.parametrize(
    ("flags", "exactness"),
    [
        (None, "bit-exact"),
        ((), "bit-exact"),
        (("rope-cache", "no-einops", "host-grid"), "bit-exact"),
        (("rope-table",), "ulp"),
        (("window-sort", "host-seqlens", "batched-windows"), "reassociated"),
    ],
    ids=str,
)
def test_a_right_tower_passes(flags: Iterable[str] | None, exactness: str) -> None:
    verdict = judge(torch.float32).check(exactness, lambda: build_tower(QWEN2_5, flags, weights), never)
    assert (verdict.passed, verdict.reason) == (True, None)
    assert verdict.timed_error is None


def test_a_right_tower_passes_in_bf16_and_a_wrong_one_fails_there_as_well() -> None:
    # As a trial does it, the exact tower has the weights that the timed one has, rounded to bf16.
    rounded = random_weights(QWEN2_5, dtype=torch.bfloat16)
    exact = type(rounded)({key: tensor.float() for key, tensor in rounded.items()})
    golden, yardstick = build_tower(QWEN2_5, None, exact), build_tower(QWEN2_5, None, rounded)
    in_bf16 = Judge(inputs(torch.bfloat16), torch.bfloat16, golden, yardstick)
    flags = ("rope-cache", "no-einops")
    right = in_bf16.check(
        "bit-exact", lambda: build_tower(QWEN2_5, flags, exact), lambda: build_tower(QWEN2_5, flags, rounded)
    )
    assert right.passed
    assert right.timed_error is not None
    assert right.timed_limit is not None
    assert 0 < right.timed_error <= right.timed_limit
    # Right in fp32 and wrong where it is timed: a kernel of its own for bf16.
    wrong = in_bf16.check(
        "bit-exact", lambda: build_tower(QWEN2_5, flags, exact), lambda: WRONG_TOWERS["no rope"](QWEN2_5, rounded)
    )
    assert not wrong.passed
    assert wrong.reason
    assert "in bfloat16 is above" in wrong.reason


# Towers of one line, whose mistakes are known to the last digit.

Forward = Callable[[Tensor, Tensor], Tensor]
Outputs = Callable[[Tensor, Tensor], Any]


class Tower(nn.Module):
    def __init__(self, function: Outputs) -> None:
        super().__init__()
        self.function = function

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        return self.function(pixels, grid_thw)


def right(pixels: Tensor, grid_thw: Tensor) -> Tensor:
    """Pixels [N, 8] to the means of their merged cells [N / 4, 8], in fp32."""
    return pixels.float().view(-1, 4, 8).mean(1)


FIRST: tuple[Grid, ...] = ((2, 4, 6), (1, 2, 8))
SECOND: tuple[Grid, ...] = ((1, 8, 8),)


def drawn(grids: Iterable[Grid], seed: int) -> Input:
    rows = sum(t * h * w for t, h, w in grids)
    return Input(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), torch.tensor(grids))


def fresh(function: Outputs = right, dtype: torch.dtype = torch.float32, own: Outputs = right) -> Judge:
    """A judge of its own, since some of these towers write into their inputs."""
    entries = [drawn(FIRST, 1).to(dtype), drawn(SECOND, 2).to(dtype)]
    return Judge(entries, dtype, Tower(function), Tower(own))


def check(function: Forward, exactness: str = "bit-exact") -> Accuracy:
    return fresh().check(exactness, lambda: Tower(function), never)


def scaled(factor: float) -> Forward:
    return lambda pixels, grid_thw: right(pixels, grid_thw) * factor


class InCall:
    """Right but for one call: the `wrong_call`-th of all."""

    def __init__(self, wrong_call: int, mistake: Callable[[Tensor], Tensor]) -> None:
        self.calls, self.wrong_call, self.mistake = 0, wrong_call, mistake

    def __call__(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        self.calls += 1
        output = right(pixels, grid_thw)
        return self.mistake(output) if self.calls == self.wrong_call else output


@pytest.mark.parametrize(
    ("exactness", "off", "passes"),
    [
        ("bit-exact", 0.0, True),
        ("bit-exact", 1e-6, False),
        ("ulp", 0.9e-5, True),
        ("ulp", 1.1e-5, False),
        ("reassociated", 0.9e-5, True),
        ("reassociated", 1.1e-5, False),
    ],
)
def test_each_class_has_its_limit_in_fp32(exactness: str, off: float, passes: bool) -> None:
    verdict = check(scaled(1 + off), exactness)
    assert verdict.passed is passes
    assert (verdict.reason is None) is passes
    assert verdict.fp32_error == pytest.approx(off, abs=2e-7)


def test_the_last_bit_of_one_value_is_seen() -> None:
    def one_bit(output: Tensor) -> Tensor:
        output[3, 5] = torch.nextafter(output[3, 5], torch.tensor(9.0))
        return output

    assert not check(InCall(2, one_bit)).passed
    assert check(InCall(2, one_bit), "ulp").passed


@pytest.mark.parametrize("wrong_call", [1, 2, 3, 4])
def test_a_mistake_in_any_call_is_seen(wrong_call: int) -> None:
    """Both inputs come twice, so a cache that is stale when it is hit is seen in calls 3 and 4."""
    verdict = check(InCall(wrong_call, lambda output: output * 2), "reassociated")
    assert not verdict.passed
    assert verdict.fp32_error == pytest.approx(1.0)


def test_a_cache_with_too_small_a_key_is_seen() -> None:
    kept: dict[int, Tensor] = {}
    verdict = check(lambda pixels, grid_thw: kept.setdefault(pixels.shape[1], right(pixels, grid_thw)))
    assert not verdict.passed


def test_what_a_tower_raises_is_its_result() -> None:
    def broken(pixels: Tensor, grid_thw: Tensor) -> Tensor:
        raise RuntimeError("first line\nsecond line")

    verdict = check(broken)
    assert not verdict.passed
    assert verdict.reason == "raised RuntimeError: first line"
    assert verdict.fp32_error is None


def test_a_tower_that_cannot_be_built_fails() -> None:
    verdict = fresh().check("ulp", never, never)
    assert not verdict.passed
    assert verdict.reason
    assert verdict.reason.startswith("raised AssertionError: ")


@pytest.mark.parametrize("wrong_call", [1, 2, 3, 4])
def test_nan_fails_and_its_token_is_named(wrong_call: int) -> None:
    def one_nan(output: Tensor) -> Tensor:
        output[7, 0] = float("nan")
        return output

    verdict = check(InCall(wrong_call, one_nan), "reassociated")
    assert not verdict.passed
    assert verdict.reason
    assert "nan" in verdict.reason
    assert verdict.worst_token
    token = verdict.worst_token
    wanted = (0, 1, 0, 1) if wrong_call % 2 else (0, 0, 1, 3)
    assert (token.item, token.frame, token.row, token.column) == wanted


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_nothing_but_infinity_or_nan_fails(value: float) -> None:
    assert not check(lambda pixels, grid_thw: torch.full_like(right(pixels, grid_thw), value), "ulp").passed


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda output: output[:-1], "the output has shape [15, 8] instead of [16, 8]"),
        (lambda output: output[None], "the output has shape [1, 16, 8] instead of [16, 8]"),
        (lambda output: output[:1], "the output has shape [1, 8] instead of [16, 8]"),
        (lambda output: nn.Parameter(output), "the output is a Parameter, not a plain tensor"),
        (lambda output: (output,), "the output is a tuple, not a plain tensor"),
        (lambda output: None, "the output is a NoneType, not a plain tensor"),
    ],
)
def test_an_output_of_another_kind_fails(mistake: Callable[[Tensor], Tensor], words: str) -> None:
    verdict = check(InCall(1, mistake), "reassociated")
    assert not verdict.passed
    assert verdict.reason
    assert words in verdict.reason


def in_parts(small: float, **others: Any) -> Callable[[Tensor, Tensor], Any]:
    """A large part, a small one, and some more."""

    def forward(pixels: Tensor, grid_thw: Tensor) -> VisionOutput:
        tokens = right(pixels, grid_thw)
        return VisionOutput(tokens, {"small": tokens * small, "places": torch.arange(len(tokens)), **others})

    return forward


def check_parts(function: Callable[[Tensor, Tensor], Any]) -> Accuracy:
    return fresh(in_parts(1e-6), own=in_parts(1e-6)).check("reassociated", lambda: Tower(function), never)


def test_parts_that_are_right_pass() -> None:
    verdict = check_parts(in_parts(1e-6))
    assert (verdict.passed, verdict.fp32_error, verdict.reason) == (True, 0, None)


def test_a_large_part_does_not_hide_a_small_one() -> None:
    """Together, they would be off by 1e-7."""
    verdict = check_parts(in_parts(1.1e-6))
    assert not verdict.passed
    assert verdict.part == "small"
    assert verdict.fp32_error == pytest.approx(0.1, rel=1e-5)
    assert verdict.reason == "part 'small' of the output: error 0.1 in fp32 is above 1e-05"


def test_a_part_of_another_shape_is_named() -> None:
    verdict = check_parts(in_parts(1.1e-6, places=torch.tensor(0)))
    assert verdict.reason == "part 'places' of the output has shape [] instead of [16]"


def test_whole_numbers_are_right_or_wrong() -> None:
    """Of many places, one that is off by one would be too small an error to see."""

    def off_by_one(pixels: Tensor, grid_thw: Tensor) -> Any:
        output = in_parts(1.1e-6)(pixels, grid_thw)
        output.parts["places"][-1] += 1
        return output

    verdict = check_parts(off_by_one)
    assert (verdict.passed, verdict.part) == (False, "places")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda output: output.tokens, "the output lacks the part 'small'"),
        (
            lambda output: VisionOutput(output.tokens, {**output.parts, "more": output.tokens}),
            "the output has a part 'more' too many",
        ),
        (
            lambda output: VisionOutput(output.tokens, {**output.parts, "small": [1]}),
            "part 'small' of the output is a list, not a plain tensor",
        ),
        (
            lambda output: VisionOutput(output.tokens, {**output.parts, "small": nn.Parameter(output.tokens)}),
            "part 'small' of the output is a Parameter, not a plain tensor",
        ),
        (lambda output: (output.tokens, output.parts["small"]), "the output is a tuple, not a plain tensor"),
        (
            lambda output: VisionOutput(output.tokens, {"tokens": output.tokens}),
            "the output has parts that are not tensors by names other than 'tokens'",
        ),
        (
            lambda output: VisionOutput(output.tokens, [output.tokens]),
            "the output has parts that are not tensors by names other than 'tokens'",
        ),
    ],
)
def test_other_parts_fail_in_one_sentence(change: Callable[[Any], Any], reason: str) -> None:
    verdict = check_parts(lambda pixels, grid_thw: change(in_parts(1e-6)(pixels, grid_thw)))
    assert not verdict.passed
    assert verdict.reason is not None
    assert verdict.reason.startswith(reason)
    assert "\n" not in verdict.reason


def test_in_the_timed_dtype_each_part_has_a_limit_of_its_own() -> None:
    """The small part of the yardstick is off by 1 %, its tokens are exact."""
    judge = fresh(in_parts(1e-6), torch.bfloat16, own=in_parts(1.01e-6))
    exact = in_parts(1e-6)
    assert judge.check("bit-exact", lambda: Tower(exact), lambda: Tower(in_parts(1.014e-6))).passed
    wrong = judge.check("bit-exact", lambda: Tower(exact), lambda: Tower(in_parts(1.016e-6)))
    assert (wrong.passed, wrong.part) == (False, "small")
    assert wrong.reason == "part 'small' of the output: error 0.016 in bfloat16 is above 0.015"
    assert judge.allowed("bit-exact", timed=1) == pytest.approx({"tokens": 0, "small": 0.03, "places": 0}, rel=1e-3)


class Lazy(Tensor):
    """A tensor that could put off its work until the clock has stopped."""


def test_a_tensor_subclass_fails_although_its_values_are_right() -> None:
    verdict = check(lambda pixels, grid_thw: right(pixels, grid_thw).as_subclass(Lazy))
    assert not verdict.passed
    assert verdict.reason
    assert "Lazy" in verdict.reason


def into_one_buffer(function: Forward) -> Forward:
    """Every output in the same memory, which the next call overwrites."""
    buffer = torch.empty(16, 8)

    def forward(pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return buffer.copy_(function(pixels, grid_thw))

    return forward


def test_a_buffer_of_its_own_is_judged_by_what_each_call_gave() -> None:
    assert check(into_one_buffer(right)).passed
    # The last call overwrites the wrong output with a right one, and the first wrong one must not be forgotten.
    assert not check(into_one_buffer(InCall(1, lambda output: output * 2))).passed


def test_a_tower_that_writes_into_its_input_spoils_no_other() -> None:
    def doubles(pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return right(pixels.mul_(2), grid_thw)

    shared = fresh()
    assert not shared.check("bit-exact", lambda: Tower(doubles), never).passed
    assert shared.check("bit-exact", lambda: Tower(right), never).passed


# In the timed dtype: at most 1.5 times the yardstick's own error, here 0.01.


def check_timed(function: Forward) -> Accuracy:
    judge = fresh(dtype=torch.bfloat16, own=scaled(1.01))
    return judge.check("bit-exact", lambda: Tower(right), lambda: Tower(function))


@pytest.mark.parametrize(
    ("off", "passes"), [(0.0, True), (0.014, True), (-0.014, True), (0.016, False), (-0.016, False)]
)
def test_the_timed_dtype_is_allowed_one_and_a_half_times_the_yardsticks_error(off: float, passes: bool) -> None:
    verdict = check_timed(scaled(1 + off))
    assert verdict.passed is passes
    assert verdict.fp32_error == 0
    assert verdict.timed_error == pytest.approx(abs(off), rel=1e-3)
    assert verdict.timed_limit == pytest.approx(0.015, rel=1e-3)
    assert (verdict.reason is None) is passes


@pytest.mark.parametrize("wrong_call", [1, 2])
def test_the_timed_dtype_is_judged_on_every_input(wrong_call: int) -> None:
    verdict = check_timed(InCall(wrong_call, lambda output: output * 1.016))
    assert not verdict.passed
    assert verdict.timed_error == pytest.approx(0.016, rel=1e-3)


@pytest.mark.parametrize("wrong_call", [1, 2])
def test_nan_in_the_timed_dtype_fails(wrong_call: int) -> None:
    assert not check_timed(InCall(wrong_call, lambda output: output * float("nan"))).passed


@pytest.mark.parametrize("wrong_call", [3, 4])
def test_a_cache_that_is_stale_when_it_is_hit_is_seen_in_the_timed_dtype(wrong_call: int) -> None:
    assert not check_timed(InCall(wrong_call, lambda output: output * 2)).passed


def test_another_shape_in_the_timed_dtype_fails() -> None:
    assert not check_timed(lambda pixels, grid_thw: right(pixels, grid_thw)[None]).passed


def test_a_tower_is_not_built_for_the_timed_dtype_when_fp32_has_failed_already() -> None:
    judge = fresh(dtype=torch.bfloat16, own=scaled(1.01))
    verdict = judge.check("bit-exact", lambda: Tower(scaled(2.0)), never)
    assert verdict.reason == "not bit-exact in fp32: error 1"


# Where the worst token is.

sides = st.integers(1, 4).map(lambda cells: 2 * cells)
grid_lists = st.lists(st.tuples(st.integers(1, 3), sides, sides), min_size=1, max_size=4)


def places(grids: Iterable[Grid]) -> list[tuple[int, int, int, int]]:
    """Item, frame, row and column of every token, in order."""
    return [
        (item, frame, row, column)
        for item, (t, h, w) in enumerate(grids)
        for frame in range(t)
        for row in range(h // 2)
        for column in range(w // 2)
    ]


def place(token: Token) -> tuple[int, int, int, int]:
    return token.item, token.frame, token.row, token.column


@given(grids=grid_lists, data=st.data(), value=st.sampled_from([3.0, float("inf"), float("nan")]))
def test_the_worst_token_is_found_where_it_is(grids: list[Grid], data: st.DataObject, value: float) -> None:
    tokens = places(grids)
    index = data.draw(st.integers(0, len(tokens) - 1))
    wanted = torch.ones(len(tokens), 5)
    output = wanted + 0.01
    output[index, data.draw(st.integers(0, 4))] = value
    assert place(worst_token(output, wanted, grids)) == tokens[index]


def test_the_worst_tokens_error_is_relative_to_all_tokens() -> None:
    wanted = torch.full((6, 4), 2.0)  # every token has norm 4
    output = wanted.clone()
    output[4, 0] += 1.0
    assert worst_token(output, wanted, [(1, 4, 6)]).error == pytest.approx(0.25)


def test_more_tokens_than_the_grids_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="more tokens than the grids have"):
        worst_token(torch.tensor([[1.0], [5.0]]), torch.ones(2, 1), [(1, 2, 2)])


@pytest.mark.parametrize("number", [0, 1])
def test_the_judge_names_the_token_of_the_input_that_is_furthest_off(number: int) -> None:
    grids = (FIRST, SECOND)[number]
    index = 9

    def off(output: Tensor) -> Tensor:
        output[index] += 1
        return output

    verdict = check(InCall(1 + number, off), "reassociated")
    assert verdict.worst_token
    assert place(verdict.worst_token) == places(grids)[index]


def test_a_right_tower_has_no_worst_token() -> None:
    assert check(right).worst_token is None


def test_a_part_of_zeros_is_right_where_it_is_zeros() -> None:
    def parts(pixels: Tensor, grid_thw: Tensor) -> VisionOutput:
        return VisionOutput(pixels[::4], {"zeros": pixels.new_zeros(7, 3), "none": pixels.new_zeros(0, 3)})

    judge = Judge([Input(torch.randn(8, 4).bfloat16(), torch.tensor([[1, 2, 4]]))], torch.bfloat16, parts, parts)
    assert judge.check("bit-exact", lambda: parts, lambda: parts).passed


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64])
def test_another_dtype_is_wrong_however_near_its_values_are(dtype: torch.dtype) -> None:
    judge = Judge([Input(torch.randn(8, 4), torch.tensor([[1, 2, 4]]))], torch.float32, quarter, quarter)
    found = judge.check("reassociated", lambda: as_dtype(dtype), lambda: as_dtype(dtype))
    assert not found.passed
    assert found.reason is not None
    assert f"is of {dtype} instead of torch.float32".replace("torch.", "") in found.reason


def quarter(pixels: Tensor, grid_thw: Tensor) -> Tensor:
    return pixels[::4]


def as_dtype(dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda pixels, grid_thw: pixels[::4].to(dtype)
