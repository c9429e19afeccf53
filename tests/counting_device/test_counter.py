from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from pydantic import ValidationError

from vlbench.counting_device import CountingDevice
from vlbench.counting_device.counter import Counter
from vlbench.counting_device.where import Cause
from vlbench.record.counts import Counts, Tally
from vlbench.record.site import Where

WHERE = Where("x", "a.py", 1)

EVENTS = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from(["rope", "attention", "mlp"])),
    st.just(("exit",)),
    st.tuples(st.just("operation"), st.sampled_from(["mm", "add"])),
    st.tuples(st.sampled_from(["read-back", "upload", "implicit upload", "synchronize"]), st.booleans()),
    st.tuples(st.just("attention plan"), st.just(False)),
    st.tuples(st.just("allocation"), st.integers(1, 9)),
)


@given(st.lists(EVENTS, max_size=60))
def test_stages_operations_and_causes_add_up_to_the_total(events: list[tuple[str, ...]]) -> None:
    counter, open_stages = Counter(0), []
    for kind, *rest in events:
        if kind == "enter":
            open_stages.append(rest[0])
            counter.enter(rest[0])
        elif kind == "exit":
            if open_stages:
                counter.exit(open_stages.pop())
        elif kind == "operation":
            counter.operation(rest[0])
        elif kind == "allocation":
            counter.allocation(int(rest[0]), 0)
        else:
            counter.transfer(kind, "copy", Cause(WHERE), 4, blocking=bool(rest[0]))  # type: ignore[arg-type]
    counter.close("ghost", "sm_90", "2.13")
    report = counter.report
    for field in Tally.model_fields:
        assert sum(getattr(tally, field) for tally in report.stages.values()) == getattr(report.total, field)
    assert sum(report.operations.values()) == report.total.device_operations
    assert sum(cause.times for cause in report.causes if cause.blocking) == report.total.host_syncs
    assert sum(c.times for c in report.causes if c.event == "read-back") == report.total.read_backs
    assert sum(c.times for c in report.causes if c.event == "attention plan") == report.total.attention_plans
    assert Counts.model_validate_json(report.model_dump_json()) == report


def test_events_go_to_the_innermost_stage() -> None:
    with CountingDevice("ghost") as device, device.count() as counter:
        x = torch.ones(4, device="cuda")
        with counter.stage("block"):
            y = x + x
            counter.enter("attention")  # as an external marker does
            y.int().sum()
            counter.exit("attention")
            torch.ones(2, dtype=torch.int64, device="cuda").tolist()
    stages = counter.report.stages
    assert {name: tally.device_operations for name, tally in stages.items()} == {"": 1, "block": 2, "attention": 2}
    assert stages["block"].host_syncs == 1
    assert counter.report.causes[0].stage == "block"


def test_leaving_a_stage_that_is_not_open_is_refused() -> None:
    counter = Counter(0)
    counter.enter("rope")
    with pytest.raises(ValueError, match="'mlp' is left but the open stages are"):
        counter.exit("mlp")


def test_the_report_is_frozen_and_only_there_at_the_end() -> None:
    with CountingDevice("ghost") as device, device.count() as counter, pytest.raises(RuntimeError, match="ended"):
        _ = counter.report
    with pytest.raises(ValidationError):
        counter.report.live_bytes_before = 3


def test_peak_and_live_bytes(device: CountingDevice) -> None:
    x = device.upload(torch.ones(256))  # 1 KiB
    with device.count() as counter:
        y = x + 1
        y = y.view(-1)[2:] * 2
        del y
        x.add_(1)
    assert counter.report.live_bytes_before == 1024
    assert counter.report.peak_live_bytes == 3 * 1024 - 8
    assert counter.report.total.allocations == 2
