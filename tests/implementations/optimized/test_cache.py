from __future__ import annotations

from collections import OrderedDict

import torch
from hypothesis import given, strategies as st
from torch import Tensor

from vlbench.implementations.optimized.cache import ByteCache


def cache_of(max_bytes: int) -> ByteCache[int, Tensor]:
    return ByteCache(max_bytes, lambda tensor: (tensor,))


def filled(size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.uint8)


@given(st.lists(st.integers(0, 7), max_size=40), st.integers(0, 30))
def test_it_behaves_like_a_list_of_the_least_recently_used(keys: list[int], max_bytes: int) -> None:
    """The model: an ordered dict of sizes, oldest use first. Key n has a value of 2 * n bytes."""
    cache, model, hits = cache_of(max_bytes), OrderedDict[int, int](), 0
    for key in keys:
        was_known = key in model
        made: list[int] = []

        def make(key: int = key, made: list[int] = made) -> Tensor:
            made.append(key)
            return filled(2 * key)

        assert cache.get(key, make).nbytes == 2 * key
        assert made == ([] if was_known else [key])
        hits += was_known
        if was_known:
            model.move_to_end(key)
        elif 2 * key <= max_bytes:
            model[key] = 2 * key
            while sum(model.values()) > max_bytes:
                model.popitem(last=False)
        assert list(cache._entries) == list(model)
        assert cache.bytes == sum(model.values()) <= max_bytes
    assert (cache.hits, cache.misses) == (hits, len(keys) - hits)


def test_a_hit_is_the_same_object() -> None:
    cache = cache_of(100)
    assert cache.get(1, lambda: filled(10)) is cache.get(1, lambda: filled(10))


def test_an_entry_larger_than_the_bound_is_not_kept_and_evicts_nothing() -> None:
    cache = cache_of(10)
    kept = cache.get(1, lambda: filled(10))
    assert cache.get(2, lambda: filled(11)).nbytes == 11
    assert cache.get(1, lambda: filled(10)) is kept
    assert (len(cache), cache.bytes, cache.hits, cache.misses) == (1, 10, 1, 2)


def test_clearing_keeps_the_counts() -> None:
    cache = cache_of(10)
    cache.get(1, lambda: filled(5))
    cache.get(1, lambda: filled(5))
    cache.clear()
    assert (len(cache), cache.bytes, cache.hits, cache.misses) == (0, 0, 1, 1)


def test_what_is_kept_of_a_call_in_inference_mode_can_be_written_to_in_any_other() -> None:
    cache = cache_of(10)
    with torch.inference_mode():
        kept = cache.get(1, lambda: filled(10))
        kept.add_(1)
    kept.add_(1)
    assert int(kept.sum()) == 20
