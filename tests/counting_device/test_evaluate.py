"""Ghost and shadow count the same, no_grad and inference_mode count the same, and shadow has the bits of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor

from vlbench.counting_device import CountingDevice, GhostValueError
from vlbench.record.counts import Counts

Values = dict[str, Tensor]
Step = Callable[[Values, torch.device], object]


def assign(values: Values, name: str, index: object, value: object) -> None:
    values[name][index] = value  # type: ignore[index, assignment]


def attend(v: Values) -> Tensor:
    heads = v["x"].view(1, -1, 2, 4).transpose(1, 2)
    return F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).reshape(-1, 8)


def attend_eagerly(v: Values) -> Tensor:
    scores = torch.matmul(v["x"], v["x"].t()).softmax(-1)
    return F.dropout(scores, 0.1, training=False) @ v["x"]


def shuffle_columns(v: Values) -> Tensor:
    halves = F.pad(v["x"], (0, 2)).narrow(1, 0, 8).chunk(2, dim=-1)
    return torch.cat(halves[::-1], dim=-1).unflatten(1, (2, 4)).movedim(1, 2).flatten(1).contiguous()


def mix(v: Values, d: torch.device) -> Tensor:
    weights = v["x"][:8].tile(8, 1)[:8]
    return torch.einsum("ij,kj->ik", v["x"], weights) + torch.outer(v["i"].float(), torch.ones(8, device=d))


def standardise(v: Values) -> Tensor:
    deviation = v["x"].std(0, unbiased=False).clamp(min=1)
    return (v["x"] - v["x"].mean(0)) / deviation + torch.where(v["m"][:, None], v["x"], 0.5)


def gate(v: Values) -> Tensor:
    return F.silu(v["x"]) * F.gelu(v["x"], approximate="tanh") + F.embedding(v["i"] % 2, v["x"])


def keep_some(v: Values) -> Values:
    v["m"][0] = True
    return {name: v[name][v["m"]] for name in v}


def repeat(v: Values) -> Values:
    times = 1 + v["i"] % 2 * (len(v["x"]) < 30)
    return {name: torch.repeat_interleave(v[name], times, dim=0) for name in v}


# x: floats [n, 8]; i: integers [n]; m: booleans [n]; a step leaves such shapes behind, where n may be another.
STEPS: dict[str, Step] = {
    "scale": lambda v, d: v.update(x=v["x"] * 0.5 + 1),
    "product": lambda v, d: v.update(x=F.linear(v["x"], v["x"][:1].expand(8, 8) / 9, v["x"][0])),
    "half": lambda v, d: v.update(x=v["x"].to(torch.bfloat16).float()),
    "in place": lambda v, d: v["x"].mul_(0.5).add_(v["i"][:, None]),
    "view in place": lambda v, d: v.update(x=v["x"].clone().unsqueeze_(0).squeeze_(0)),
    "transpose": lambda v, d: v.update(x=v["x"].t().contiguous().t()),
    "layer norm": lambda v, d: v.update(x=F.layer_norm(v["x"], (8,))),
    "rms norm": lambda v, d: v.update(x=F.rms_norm(v["x"], (8,))),
    "attend": lambda v, d: v.update(x=attend(v)),
    "attend eagerly": lambda v, d: v.update(x=attend_eagerly(v)),
    "shuffle columns": lambda v, d: v.update(x=shuffle_columns(v)),
    "mix": lambda v, d: v.update(x=mix(v, d)),
    "standardise": lambda v, d: v.update(x=standardise(v)),
    "expand": lambda v, d: v.update(x=v["x"].expand(2, -1, 8).reshape(-1, 8)[: len(v["x"])].type_as(v["x"])),
    "gate": lambda v, d: v.update(x=gate(v)),
    "gather": lambda v, d: v.update(x=v["x"][v["i"] % len(v["x"])]),
    "scatter": lambda v, d: assign(v, "x", torch.arange(len(v["x"]), device=d), v["x"] + 1),
    "fill where": lambda v, d: assign(v, "x", v["m"], 0.25),
    "host index": lambda v, d: v.update(x=v["x"][torch.arange(len(v["x"])).flip(0)]),
    "compare": lambda v, d: v.update(m=v["i"] > 1, x=torch.where((v["i"] > v["i"].float().mean())[:, None], v["x"], 1)),
    "keep some": lambda v, d: v.update(keep_some(v)),
    "repeat": lambda v, d: v.update(repeat(v)),
    "sort": lambda v, d: v.update(i=torch.argsort(v["i"], stable=True)),
    "upload": lambda v, d: v.update(i=v["i"] + torch.tensor([1], device=d)),
    "read": lambda v, d: v.update(i=v["i"] * 0 + int(v["i"].sum()) % 3),
    "list": lambda v, d: v.update(i=torch.tensor(v["i"].tolist(), device=d)),
    "segments": lambda v, d: v.update(x=torch.cat([v["x"][v["i"][0] * 0 :], v["x"][: v["i"][0] * 0]])),
    "bytes": lambda v, d: v.update(i=torch.cat([v["i"].view(torch.uint8)]).view(torch.int64)),
    "float view": lambda v, d: v["i"].clone().view(torch.float64).view(torch.int64),
    "preallocate": lambda v, d: v.update(x=torch.empty_like(v["x"]).copy_(v["x"])),
    "out": lambda v, d: v.update(x=torch.add(v["x"], 1, out=torch.empty(len(v["x"]), 8, device=d))),
    "unique": lambda v, d: torch.unique_consecutive(v["i"]),
    "equal": lambda v, d: torch.equal(v["i"], v["i"] + 0),
}


def run(steps: list[str], device: torch.device, move: Callable[[Tensor], Tensor]) -> Values:
    generator = torch.Generator().manual_seed(1)
    values = {
        "x": move(torch.randn(6, 8, generator=generator)),
        "i": move(torch.tensor([3, 0, 2, 5, 1, 4])),
        "m": move(torch.tensor([True, False, True, True, False, True])),
    }
    for step in steps:
        STEPS[step](values, device)
    return values


def count(mode: str, grad: Callable[[], AbstractContextManager[object]], steps: list[str]) -> tuple[Counts, Values]:
    with CountingDevice(mode) as device, grad():  # type: ignore[arg-type]
        with device.count() as counter:
            values = run(steps, torch.device("cuda", 0), device.upload)
        return counter.report, {name: device.download(value) for name, value in values.items()}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=8))
def test_all_ways_of_counting_agree(steps: list[str]) -> None:
    with torch.no_grad():
        plain = run(steps, torch.device("cpu"), lambda tensor: tensor)
    shadow, values = count("shadow", torch.no_grad, steps)
    assert all(torch.equal(values[name], plain[name]) for name in plain)
    for mode, grad in (("ghost", torch.no_grad), ("ghost", torch.inference_mode), ("shadow", torch.inference_mode)):
        other, shapes = count(mode, grad, steps)
        assert other.model_copy(update={"key": shadow.key}) == shadow
        assert {name: shape.shape for name, shape in shapes.items()} == {n: p.shape for n, p in plain.items()}
        assert torch.equal(shapes["i"], plain["i"])


def test_integers_written_from_floats_are_ghosts_and_so_are_their_views() -> None:
    with CountingDevice("ghost") as device:
        known = device.upload(torch.tensor([1, 2, 3]))
        view = known[1:]
        other = device.upload(torch.tensor([7]))
        known.copy_(device.upload(torch.ones(3)))
        with pytest.raises(GhostValueError):
            view.tolist()
        assert other.tolist() == [7]


def test_views_share_their_memory(device: CountingDevice) -> None:
    x = device.upload(torch.zeros(4, dtype=torch.int64))
    x[1:3].add_(5)
    x.view(2, 2)[1].mul_(2)
    assert x.tolist() == [0, 5, 10, 0]
    assert x[2:].data_ptr() == x.data_ptr() + 16
    assert device.upload(x.cpu()).data_ptr() != x.data_ptr()


def test_mixed_devices_raise_as_on_cuda(device: CountingDevice) -> None:
    x = device.upload(torch.ones(3))
    assert (x + torch.tensor(2.0)).is_cuda  # a 0-d host tensor is a number
    for mix in (
        lambda: x + torch.ones(3),
        lambda: torch.cat([x, torch.ones(3)]),
        lambda: F.embedding(torch.tensor([0]), x[:, None]),
        lambda: torch.ones(3).add_(x),
        lambda: torch.mm(x[:, None], torch.ones(1, 1)),
        lambda: x + torch.ones(3, device="meta"),
    ):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            mix()
