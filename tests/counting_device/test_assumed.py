"""A wait for a value that follows from floats is counted with its line, and what was taken for the value is listed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vlbench.counting_device import CountingDevice, GhostValueError, assumed
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.record.counts import Counts


def counted(call: Callable[[Tensor], object], *, branch: bool = True) -> tuple[object, Counts]:
    with CountingDevice("ghost") as device, torch.inference_mode():
        device.branch = branch
        x = device.pixels((64, 1280), torch.float16)
        with device.count() as counter:
            result = call(x)
    return result, counter.report


@pytest.mark.parametrize(
    ("ask", "taken"),
    [
        (lambda x: bool(torch.isfinite(x).all()), True),
        (lambda x: bool(torch.isinf(x).any() | torch.isnan(x).any()), False),
        (lambda x: bool((x.abs().amax() > 60_000).item()), False),
        (lambda x: bool(torch.isfinite(x).sum() == x.numel()), True),
        (lambda x: bool(torch.isnan(x.view(8, -1)).any(dim=1).all()), False),
    ],
)
def test_finite_floats_in_range_decide_what_they_can(ask: Callable[[Tensor], bool], taken: bool) -> None:
    result, counts = counted(ask)
    assert result is taken
    (assumption,) = counts.assumptions
    assert assumption.certain
    assert not assumption.branch
    assert "test_assumed.py" in str(assumption.where)
    assert (counts.total.read_backs, counts.total.host_syncs) == (1, 1)
    (cause,) = counts.causes
    assert cause.where == assumption.where


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: torch.equal(x, x + 1),
        lambda x: torch.allclose(x, x * 2),
        lambda x: bool((x * 1e6 > 1e3).any()),
        lambda x: bool((x.norm(dim=-1) > 3).any()),
        lambda x: bool(torch.zeros_like(x).any()),
        lambda x: bool((x != x * 2).any()),
    ],
)
@pytest.mark.parametrize("branch", [True, False])
def test_what_follows_from_scales_or_two_tensors_is_not_certain_though_samples_agree(
    ask: Callable[[Tensor], bool], branch: bool
) -> None:
    result, counts = counted(ask, branch=branch)
    assert result is branch
    assert not counts.assumptions[-1].certain
    assert counts.assumptions[-1].branch


def test_a_value_is_formatted_with_one_read_back() -> None:
    _, counts = counted(lambda x: f"{x.mean():.3f}")
    assert counts.total.read_backs == 1


def test_ten_ghost_counts_of_flags_written_in_place_are_one() -> None:
    def gather(x: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.int64, device=x.device)
        for row in x[:40]:
            total += row.argmax()
        return total

    seen = {(each.total.device_operations, each.total.allocations) for each in (counted(gather)[1] for _ in range(10))}
    assert len(seen) == 1


@pytest.mark.parametrize("branch", [True, False])
def test_a_branch_that_floats_do_not_decide_goes_as_it_is_told(branch: bool) -> None:
    result, counts = counted(lambda x: bool(x.mean() > 0), branch=branch)
    assert result is branch
    (assumption,) = counts.assumptions
    assert (assumption.taken, assumption.certain, assumption.branch) == (str(branch), False, True)


@pytest.mark.parametrize(
    "read", [lambda x: float(x[0, 0]), lambda x: x.tolist(), lambda x: x[:1].cpu(), lambda x: x.cpu()]
)
def test_floats_that_are_read_back_are_counted_and_listed(read: Callable[[Tensor], object]) -> None:
    _, counts = counted(read)
    assert counts.total.read_backs == 1
    assert not counts.assumptions[0].certain


def test_an_index_of_the_largest_is_anybody_s_guess() -> None:
    _, counts = counted(lambda x: int(x.argmax()))
    assert not counts.assumptions[0].certain


def test_sizes_that_follow_from_floats_are_taken_and_listed() -> None:
    result, counts = counted(lambda x: torch.isnan(x).nonzero())
    assert result.shape == (0, 2)  # type: ignore[attr-defined]
    assert counts.assumptions[0].certain
    result, counts = counted(lambda x: (x > 0).nonzero())
    assert not counts.assumptions[0].certain
    assert counts.total.read_backs == 1


def test_a_flag_that_is_gathered_in_place_is_followed() -> None:
    def gather(x: Tensor) -> bool:
        seen = torch.isnan(x).any()
        seen |= torch.isinf(x).any()
        return bool(seen)

    result, counts = counted(gather)
    assert result is False
    assert counts.assumptions[0].certain


def test_integers_that_floats_were_written_into_are_not_guessed() -> None:
    with CountingDevice("ghost") as device:
        known = device.upload(torch.tensor([1, 2, 3]))
        known.copy_(device.upload(torch.ones(3)))
        with pytest.raises(GhostValueError, match="keep that value on the host, or let it be a comparison"):
            known[1:].tolist()


@pytest.mark.parametrize(
    "ask", [lambda flags, bits: bool(flags[0]), lambda flags, bits: bool(bits.view(torch.float16).isfinite().all())]
)
def test_what_a_kernel_may_have_written_is_neither_a_branch_nor_finite_floats(
    ask: Callable[[Tensor, Tensor], bool],
) -> None:
    with CountingDevice("ghost") as device, device.count():
        flags, bits = device.upload(torch.ones(4).bool()), device.upload(torch.ones(4, dtype=torch.int16))
        for each in (flags, bits):
            assert isinstance(each, DeviceTensor)
            each.block.known, each.block.writer = False, "triton::kernel"  # as a launch of it leaves them
        with pytest.raises(GhostValueError, match="triton::kernel may have written"):
            ask(flags, bits)


def test_following_samples_holds_no_memory_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def flag(x: Tensor) -> Tensor:
        return torch.isfinite(x + 1).all()

    _, followed = counted(flag)
    monkeypatch.setattr(assumed, "LARGEST", 0)
    _, ignored = counted(flag)
    assert followed == ignored


class ReadsWhileBuilt(nn.Module):
    """Reads values in its constructor, as drop-path rates and initialisers do."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = torch.linspace(0, 0.5, 3).tolist()
        self.linear = nn.Linear(64, 64)
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        self.base = float((1 / 10_000 ** (torch.arange(0, 8, 2) / 8))[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.base


def test_what_a_constructor_reads_is_read_for_real_and_not_counted() -> None:
    with CountingDevice("ghost") as device, torch.inference_mode():
        module = device.build(ReadsWhileBuilt)
        assert module.rates == [0, 0.25, 0.5]
        assert module.base == pytest.approx(0.1)
        with device.count() as counter:
            module(device.pixels((4, 64), torch.float32))
    assert counter.report.total.host_syncs == 0
    assert counter.report.assumptions == ()


def test_a_question_of_finiteness_is_answered_at_the_size_of_a_video(device: CountingDevice) -> None:
    x = device.pixels((16_000, 3_420), torch.bfloat16)
    with device.count() as counter:
        for _ in range(8):
            if not (torch.isfinite(x) & (x.abs() < 6e4)).all():
                raise AssertionError
    report = counter.report
    assert report.total.host_syncs == 8
    assert all(each.certain for each in report.assumptions)


def test_a_loop_that_floats_end_is_named() -> None:
    def halve(x: Tensor) -> None:
        while (x > 1).any():
            x = x * 0.5

    with pytest.raises(GhostValueError, match=r"floats decide how often this loop runs"):
        counted(halve)


def test_constructors_that_draw_until_it_fits_end(device: CountingDevice) -> None:
    layer = device.build(lambda: torch.nn.Linear(3_000, 3_000, bias=False))
    with device.building():
        weight = torch.nn.init.trunc_normal_(torch.empty(3_000, 3_000))
        steps = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
    assert (layer.weight.shape, weight.shape) == ((3_000, 3_000), (3_000, 3_000))
    assert steps == pytest.approx([0, 0.05, 0.1])


def test_a_mask_that_is_written_in_place_leaves_what_it_was_made_from_alone() -> None:
    def ask(x: Tensor) -> tuple[bool, bool]:
        finite = torch.isfinite(x[:, :8].sum(dim=1))
        kept = finite.clone()
        finite.logical_not_()
        return bool(finite.any()), bool(kept.all())

    result, counts = counted(ask)
    assert result == (False, True)
    assert all(each.certain for each in counts.assumptions)
