"""What is read off captures about a host, on frames that are made by hand, and on real captures where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.nsys.conftest import public_captures as public_captures
from vlbench.nsys.frames import API_COLUMNS, GPU_COLUMNS, RANGE_COLUMNS, Capture, frame
from vlbench.predicting.captured_host import act_times, apart, samples_of
from vlbench.predicting.host import QUANTILES, Act, HostTimes, host_times, hosts

US = 1000
Call = tuple[str, int, int]
"""Family, start and end in microseconds."""


def capture(calls: list[Call], ops: list[tuple[int, int, int, str, str, str]] = [], ranges: list[Call] = []) -> Capture:  # noqa: B006
    """`ops` are API row, start, end, kind or direction, source, name."""
    api = frame(
        API_COLUMNS,
        start=np.array([start * US for _, start, _ in calls]),
        end=np.array([end * US for _, _, end in calls]),
        tid=np.ones(len(calls), dtype=int),
        pid=np.ones(len(calls), dtype=int),
        corr=np.arange(len(calls)),
        name=pd.Categorical([name for name, _, _ in calls]),
        family=pd.Categorical([name for name, _, _ in calls]),
    )
    copies = [kind in ("HtoD", "DtoH") for _, _, _, kind, _, _ in ops]
    gpu = frame(
        GPU_COLUMNS,
        start=np.array([op[1] * US for op in ops], dtype=int),
        end=np.array([op[2] * US for op in ops], dtype=int),
        pid=np.ones(len(ops), dtype=int),
        device=np.zeros(len(ops), dtype=int),
        stream=np.zeros(len(ops), dtype=int),
        corr=np.arange(len(ops)),
        graph_node=np.zeros(len(ops), dtype=int),
        bytes=np.full(len(ops), 8),
        kind=pd.Categorical(["memcpy" if copy else "kernel" for copy in copies]),
        name=pd.Categorical([op[5] for op in ops]),
        direction=pd.Categorical([op[3] if copy else None for op, copy in zip(ops, copies, strict=True)]),
        src=pd.Categorical([op[4] if copy else None for op, copy in zip(ops, copies, strict=True)]),
        dst=pd.Categorical([None] * len(ops)),
        api=np.array([op[0] for op in ops], dtype=int),
    )
    no = np.zeros(len(ranges), dtype=bool)
    found = frame(
        RANGE_COLUMNS,
        start=np.array([start * US for _, start, _ in ranges], dtype=int),
        end=np.array([end * US for _, _, end in ranges], dtype=int),
        open=no,
        moved=no,
        nested=~no,
        tid=np.ones(len(ranges), dtype=int),
        pid=np.ones(len(ranges), dtype=int),
        domain=pd.Categorical([""] * len(ranges)),
        name=pd.Categorical([name for name, _, _ in ranges]),
    )
    return Capture("hand", "nsys", found, api, gpu)


def launches(number: int, apart: int, first: int = 0) -> list[Call]:
    return [("launch", first + apart * each, first + apart * each + 5) for each in range(number)]


def test_gaps_between_launches_of_busy_stretches() -> None:
    short, long = launches(5, 3), launches(40, 12, 1000)
    found = samples_of(capture([*short, ("sync", 900, 950), *long]))
    assert found[Act.LAUNCH].tolist() == [12.0] * 39


def test_a_pause_is_no_cost_of_a_launch() -> None:
    found = samples_of(capture([*launches(30, 12), *launches(30, 12, 5000)]))
    assert found[Act.LAUNCH].tolist() == [12.0] * 58


def test_attention_is_a_multiple_of_a_launch() -> None:
    calls = launches(40, 12)
    calls[20:] = [(name, start + 18, end + 18) for name, start, end in calls[20:]]
    found = samples_of(capture(calls, [(20, 300, 310, "", "", "flash_fwd_kernel"), (21, 311, 312, "", "", "add")]))
    assert found[Act.ATTENTION].tolist() == [(12 + 18) / 12]
    assert found[Act.LAUNCH].tolist() == [12.0] * 38


def test_a_kernel_begins_later_than_its_launch_where_nothing_was_queued() -> None:
    ops = [(0, 4, 9, "", "", "a"), (1, 9, 30, "", "", "b"), (2, 40, 41, "", "", "c")]
    found = samples_of(capture([("launch", 0, 2), ("launch", 5, 7), ("launch", 35, 37)], ops))
    assert found[Act.BEGIN].tolist() == [4.0, 5.0]


def test_a_read_back_ends_with_the_wait_that_follows() -> None:
    calls = [("copy_async", 0, 4), ("sync", 5, 29), ("copy_async", 40, 62)]
    ops = [(0, 10, 20, "DtoH", "device", "memcpy"), (2, 50, 55, "DtoH", "device", "memcpy")]
    assert samples_of(capture(calls, ops))[Act.READ_BACK].tolist() == [9.0, 7.0]


def test_uploads_are_told_apart_by_their_memory() -> None:
    calls = [*launches(30, 12), ("copy_async", 1000, 1030), ("copy_async", 1100, 1108)]
    ops = [(30, 1010, 1011, "HtoD", "pageable", "memcpy"), (31, 1105, 1106, "HtoD", "pinned", "memcpy")]
    found = samples_of(capture(calls, ops))
    assert found[Act.PAGEABLE].tolist() == [25.0]
    assert found[Act.PINNED].tolist() == [3.0]


def test_operators_of_torch_that_launch_nothing() -> None:
    ranges = [
        ("aten::linear", 0, 40),
        ("aten::t", 1, 3),
        ("aten::transpose", 50, 54),
        ("aten::as_strided", 51, 52),
        ("aten::empty_like", 60, 66),
        ("aten::result_type", 70, 71),
        ("Forward", 0, 100),
    ]
    found = samples_of(capture([("launch", 20, 25)], ranges=ranges))
    assert found[Act.VIEW].tolist() == [4.0]
    assert found[Act.ALLOCATION].tolist() == [6.0]
    assert found[Act.HOST].tolist() == [6.0], "of operators on tensors of the host this is what is known"


def test_the_same_samples_are_one_act() -> None:
    acts = list(apart(host_times().acts))
    assert {Act(each.act) for each in acts} == set(Act) - {Act.ALLOCATION}
    assert {Act(each.act) for each in acts if not each.seen} >= {Act.WAIT, Act.PLAN}


def test_the_stored_figures_say_where_they_are_from() -> None:
    times = host_times()
    assert [each.act for each in times.acts] == [act.value for act in Act]
    for each in times.acts:
        assert each.seen or (each.stated and each.source)
        assert all(seen.count >= 4 and len(seen.us) == len(QUANTILES) for seen in each.seen)
    fast, slow = hosts()
    assert all(fast.us[act] <= slow.us[act] for act in Act)


def test_the_real_captures_give_the_stored_figures(public_captures: Path) -> None:
    stored = {each.act: each for each in host_times().acts}
    seen = {Path(each.capture).name for act in stored.values() for each in act.seen}
    paths = [path for folder in ("captures", "kineto") for path in sorted((public_captures / folder).iterdir())]
    one = next(path for path in paths if path.name == "pytorch_transformer.sqlite")
    assert one.name in seen
    for each in act_times([one]):
        for found in each.seen:
            assert found in stored[each.act].seen


@pytest.mark.parametrize("act", [Act.LAUNCH, Act.PLAN])
def test_a_file_that_lacks_an_act_says_so(act: Act) -> None:
    times = host_times()
    less = HostTimes(made_by="", acts=tuple(each for each in times.acts if each.act != act.value))
    with pytest.raises(Exception, match=f"lacks {act.value}; write it anew"):
        less.host("fast")
