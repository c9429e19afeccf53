from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from vlbench.implementations.optimized.inverse import scatter_inverse
from vlbench.implementations.optimized.transfer import Pinned, packed, pin, pinned

tensors = st.dictionaries(
    st.text(min_size=1, max_size=4),
    st.tuples(st.integers(0, 9), st.sampled_from([torch.int32, torch.int64, torch.uint8, torch.bool])).map(
        lambda shape: (torch.arange(shape[0]) * 0x123456789 % 251).to(shape[1])
    ),
    max_size=6,
)


@given(tensors)
def test_packed_tensors_arrive_as_they_were_in_one_copy(originals: dict[str, Tensor]) -> None:
    copies: list[Tensor] = []

    def send(tensor: Tensor) -> Tensor:
        copies.append(tensor)
        return tensor.clone()

    arrived = packed(originals, send)
    assert list(arrived) == list(originals)
    for name, tensor in originals.items():
        assert arrived[name].dtype == tensor.dtype
        assert torch.equal(arrived[name], tensor)
    assert len(copies) == min(1, len(originals))
    if originals:
        assert len({tensor.untyped_storage().data_ptr() for tensor in arrived.values()}) == 1


@pytest.mark.parametrize("lengths", [(3, 5), (1, 1), (7, 2)])
def test_odd_lengths_of_both_integers(lengths: tuple[int, int]) -> None:
    short, long = torch.arange(lengths[0], dtype=torch.int32), torch.arange(lengths[1], dtype=torch.int64) << 40
    for originals in ({"a": short, "b": long}, {"a": long, "b": short}, {"a": short, "b": long, "c": short + 1}):
        arrived = packed(originals, torch.clone)
        assert all(torch.equal(arrived[name], tensor) for name, tensor in originals.items())


def test_what_is_on_the_device_stays_there() -> None:
    there, here = torch.empty(3, device="meta"), torch.arange(2)
    arrived = packed({"there": there, "here": here}, torch.clone)
    assert arrived["there"] is there
    assert torch.equal(arrived["here"], here)
    assert packed({"there": there}, lambda tensor: pytest.fail("nothing to send"))["there"] is there


@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinned memory needs a CUDA device")
def test_pinned_copies_arrive_and_are_not_made_twice() -> None:
    tensor = torch.arange(5)
    fresh = pin(tensor)
    assert fresh.is_pinned()
    assert fresh is not tensor
    assert pin(fresh) is fresh
    inverse = scatter_inverse(tensor, pinned)
    assert inverse.is_pinned()
    for each in (tensor, fresh, inverse):
        assert torch.equal(Pinned()(each, torch.device("cuda")).cpu(), tensor)
