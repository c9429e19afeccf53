from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from vlbench.implementations.optimized.inverse import ArgsortOnDevice, ScatterOnDevice, ScatterOnHost

permutations = st.integers(1, 300).flatmap(lambda n: st.permutations(range(n))).map(torch.tensor)
ways = pytest.mark.parametrize("way", [ScatterOnDevice(), ArgsortOnDevice(), ScatterOnHost()])


@ways
@given(permutation=permutations)
def test_every_way_undoes_the_permutation(way: ScatterOnDevice, permutation: torch.Tensor) -> None:
    on_host = way.on_host(permutation)
    inverse = way.on_device(permutation) if on_host is None else on_host
    assert inverse.dtype == torch.int64
    assert torch.equal(permutation[inverse], torch.arange(len(permutation)))
    assert torch.equal(inverse[permutation], torch.arange(len(permutation)))


def test_only_host_inverse_works_before_the_upload() -> None:
    permutation = torch.tensor([1, 0])
    assert ScatterOnDevice().on_host(permutation) is None
    assert ArgsortOnDevice().on_host(permutation) is None
    with pytest.raises(AssertionError):
        ScatterOnHost().on_device(permutation)
