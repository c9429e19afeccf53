"""Advice is kept: with the flag that is named, the line that waited waits no more."""

from __future__ import annotations

import re

import pytest
import torch

from vlbench.counting.advice import PATTERNS, advise
from vlbench.counting.job import Point
from vlbench.counting.measure import count_tower
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.implementations.optimized import OPTIMIZATIONS, with_requirements
from vlbench.record.counted import Forward
from vlbench.record.site import Site, Where

TINY = "qwen2.5-vl-tiny"
POINT = Point(scenario="", label="", grids=((1, 10, 6), (2, 18, 14)))


def forward(device: CountingDevice, *flags: str) -> Forward:
    name = "+".join([TINY, *sorted(with_requirements(flags))])
    found = count_tower(device, Row(name, name), POINT, torch.bfloat16)[0].warm
    assert found is not None
    return found


def test_every_flag_that_a_pattern_names_exists() -> None:
    assert {flag for pattern in PATTERNS for flag in pattern.flags} <= OPTIMIZATIONS.keys()


def test_every_wait_of_the_reference_tower_has_advice_and_the_advice_is_kept() -> None:
    with CountingDevice("ghost") as device:
        naive = forward(device, "no-einops")  # the optimized tower, whose lines other flags change
        waiting = [site for site in naive.sites if site.blocking]
        assert all(site.flags for site in waiting)
        for flag in {flag for site in waiting for flag in site.flags}:
            after = forward(device, "no-einops", flag)
            still = {site.where for site in after.sites if site.blocking}
            kept = [site.where for site in waiting if flag in site.flags and site.where in still]
            assert kept == [], flag
            assert after.counts.total.host_syncs < naive.counts.total.host_syncs


def cause(event: str, operation: str, expression: str, *, blocking: bool = True, content: str = "") -> Site:
    return Site(
        event=event,  # type: ignore[arg-type]
        operation=operation,
        stage="",
        where=Where.parse("anyone/tower.py:1: ..."),
        expression=expression,
        blocking=blocking,
        pinned=False,
        content=content,  # type: ignore[arg-type]
        times=1,
        bytes=8,
    )


@pytest.mark.parametrize(
    ("event", "operation", "expression", "flag"),
    [
        ("read-back", "aten::_local_scalar_dense", "q[:, start:end]", "host-seqlens"),
        ("read-back", "aten::_local_scalar_dense", "x[:b]", "host-seqlens"),
        ("read-back", "aten::_local_scalar_dense", "x.narrow(0, a, b)", "host-seqlens"),
        ("read-back", "aten::_local_scalar_dense", "int(grid_thw[:, 1:].max())", "host-grid"),
        ("read-back", "aten::_local_scalar_dense", "h.item()", "host-grid"),
        ("read-back", "aten::_to_copy", "image_grid_thw.tolist()", "host-grid"),
        ("read-back", "aten::_to_copy", "(cu_seqlens[1:] - cu_seqlens[:-1]).tolist()", "host-seqlens"),
        ("read-back", "aten::unique_consecutive", "torch.unique_consecutive(x)", "no-empty-windows"),
        ("implicit upload", "aten::index.Tensor", "table[position_ids]", "device-pos-ids"),
        ("implicit upload", "aten::index.Tensor", "x[window_index]", "pinned-h2d"),
        ("upload", "aten::_to_copy", "order.to(grid_thw.device)", "pinned-h2d"),
        ("upload", "aten::_to_copy", "grid_thw.to(device)", "host-grid"),
    ],
)
def test_patterns_by_sight(event: str, operation: str, expression: str, flag: str) -> None:
    advice = advise(cause(event, operation, expression))
    assert advice is not None
    assert flag in advice.flags


@pytest.mark.parametrize(
    "expression",
    [
        "max_seqlen.item()",
        "int(cu_seqlens.max())",
        "int(cu_seqlens.diff().max())",
        "(cu_seqlens[1:] - cu_seqlens[:-1]).max().item()",
    ],
)
def test_the_longest_sequence_is_the_hosts_to_know(expression: str) -> None:
    advice = advise(cause("read-back", "aten::_local_scalar_dense", expression))
    assert advice is not None
    assert advice.words.startswith("take the longest sequence from the host")
    assert advice.flags == ("host-max-seqlen",)


@pytest.mark.parametrize(
    ("event", "operation", "expression"),
    [
        ("read-back", "aten::_local_scalar_dense", "x.sum().item()"),
        ("read-back", "aten::_local_scalar_dense", "sequence_scores.max()"),
        ("read-back", "aten::_local_scalar_dense", "float(silence.max())"),
        ("read-back", "aten::_local_scalar_dense", "grid_features.sum().item()"),
        ("read-back", "aten::_local_scalar_dense", "x.t().max().item()"),
        ("read-back", "aten::_local_scalar_dense", "ids[:n].max().item()"),
        ("read-back", "aten::_local_scalar_dense", "bandwidth.item()"),
        ("read-back", "aten::_unique2", "torch.unique(labels)"),
        ("read-back", "aten::equal", "torch.equal(a, b)"),
        ("read-back", "aten::histc", "torch.histc(x, 8)"),
    ],
)
def test_no_advice_where_nothing_is_known(event: str, operation: str, expression: str) -> None:
    assert advise(cause(event, operation, expression)) is None


@pytest.mark.parametrize(
    ("event", "operation", "expression", "words"),
    [
        ("read-back", "aten::index.Tensor", "x[mask]", "pick by positions, where the host knows them"),
        ("read-back", "aten::repeat_interleave.Tensor", "torch.repeat_interleave(x, n)", "give output_size"),
        ("upload", "aten::_to_copy", "torch.arange(h).to(device)", "upload from pinned memory"),
        ("upload", "aten::_to_copy", "grid_features.to(device)", "upload from pinned memory"),
        ("implicit upload", "aten::index.Tensor", "prototypes[labels]", "send the index beforehand"),
        ("implicit upload", "aten::index.Tensor", "costs[composed]", "send the index beforehand"),
    ],
)
def test_a_name_within_another_credits_no_flag_for_it(event: str, operation: str, expression: str, words: str) -> None:
    advice = advise(cause(event, operation, expression))
    assert advice is not None
    assert advice.words.startswith(words)


@pytest.mark.parametrize(
    ("event", "operation", "expression"),
    [
        ("read-back", "aten::_local_scalar_dense", "h.item()"),
        ("read-back", "aten::_local_scalar_dense", "lens.max()"),
        ("implicit upload", "aten::index_put_", "x[positions]"),
    ],
)
def test_floats_are_no_grid_no_length_and_no_index(event: str, operation: str, expression: str) -> None:
    assert advise(cause(event, operation, expression, content="integer")) is not None
    assert advise(cause(event, operation, expression, content="number")) is None


def test_what_does_not_wait_needs_no_advice() -> None:
    assert advise(cause("upload", "aten::_to_copy", "x.to(device, non_blocking=True)", blocking=False)) is None


def test_expressions_are_valid() -> None:
    for pattern in PATTERNS:
        re.compile(pattern.expression)
