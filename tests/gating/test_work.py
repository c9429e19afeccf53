"""What a tower does on the counting device, held against what it does on a CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vlbench.counting_device import CountingDevice
from vlbench.counting_device.steps import steps_taken
from vlbench.gating.work import Apart, apart
from vlbench.record.site import Where
from vlbench.record.work import Step, Work


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj, self.out = nn.Linear(32, 32), nn.Linear(32, 8)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.out(self.attended(self.proj(x), lengths))

    def attended(self, x: Tensor, lengths: Tensor) -> Tensor:
        bounds = lengths.to(x.device).tolist()
        scale = torch.tensor([2.0, 3.0], device=x.device).to(x.dtype)
        heads = [part.view(1, -1, 2, 16).transpose(1, 2) for part in x.split(bounds)]
        parts = [nn.functional.scaled_dot_product_attention(each, each, each) for each in heads]
        x = torch.cat([part.transpose(1, 2).reshape(-1, 32) for part in parts])
        x[0] = 0.5
        x[lengths[0] :] *= scale.prod().item()
        return nn.functional.rms_norm(x, (32,))


class ZerosThere(Tower):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x.new_zeros(len(x), 8) if x.is_cuda else super().forward(x, lengths)


class LessThere(Tower):
    def attended(self, x: Tensor, lengths: Tensor) -> Tensor:
        return super().attended(x, lengths) if x.device.type == "cpu" else x


class TinyThere(Tower):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if torch.cuda.is_available():
            return self.out(self.proj(x[:1])).expand(len(x), -1)
        return super().forward(x, lengths)


class FusedThere(Tower):
    def attended(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = super().attended(x, lengths)
        return torch.addcmul(x, x, x) if x.is_cuda else x + x * x


class OwnKernelThere(Tower):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        result: Tensor = torch.ops.vlbench_toys.shaped(x[:, :8]) if x.is_cuda else super().forward(x, lengths)
        return result


def both(tower: type[Tower]) -> tuple[Work, Work]:
    """The work on a CPU and on the device."""
    import tests.counting.toy_towers  # noqa: F401  whose operator one of these calls

    x, lengths, module = torch.randn(12, 32), torch.tensor([4, 8]), tower()
    with steps_taken() as cpu:
        module(x, lengths)
    with CountingDevice("ghost") as device:
        module = device.build(tower)
        with steps_taken() as there:
            module(device.upload(x), lengths)
    return tuple(cpu), tuple(there)


def difference(tower: type[Tower]) -> Apart | None:
    return apart(*both(tower))


def test_copies_reads_and_what_torch_makes_of_attention_are_no_difference() -> None:
    cpu, there = both(Tower)
    assert apart(cpu, there) is None
    assert [step.operation for step in cpu].count("aten::scaled_dot_product_attention") == 2


@pytest.mark.parametrize("tower", [ZerosThere, LessThere, TinyThere])
def test_work_that_is_left_out_is_named_with_its_line(tower: type[Tower]) -> None:
    found = difference(tower)
    assert found is not None
    assert found.left_out
    assert "test_work.py:" in found.words
    assert "runs on a CPU alone" in found.words


@pytest.mark.parametrize(("tower", "there"), [(FusedThere, "aten::addcmul"), (OwnKernelThere, "vlbench_toys::shaped")])
def test_another_path_is_no_work_left_out(tower: type[Tower], there: str) -> None:
    found = difference(tower)
    assert found is not None
    assert not found.left_out
    assert f"{there} at tests/gating/test_work.py:" in found.words


@pytest.mark.parametrize(("times", "left_out"), [(2, False), (3, True)])
def test_more_than_half_of_the_products_gone_is_work_left_out(times: int, left_out: bool) -> None:
    cpu, there = (Step(operation=f"aten::{name}", shape=(4, 4), where=Where("tower.py:1")) for name in ("mm", "bmm"))
    found = apart((cpu,) * times, (there,))
    assert found is not None
    assert found.left_out is left_out
