"""Traces of the installed torch, with the stages of a real tower in them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd import DeviceType

import vlbench.nsys
from tests.cuda_stand_ins import BUSY, Profiler, Queue, Record, VirtualTime, cuda
from tests.implementations.towers import NARROW_2_5, pixels_of, reference_tower
from vlbench.errors import UsageError
from vlbench.implementations.stage import listen
from vlbench.profiling import trace
from vlbench.profiling.trace import (
    first_kernel_seconds,
    gpu_busy_seconds,
    operators,
    raw_records,
    record_trace,
    warm_profiler,
)

BATCH = ((1, 4, 6),)
FORWARDS = 3


def forward() -> None:
    with torch.inference_mode():
        reference_tower(NARROW_2_5)(pixels_of(NARROW_2_5, BATCH), torch.tensor(BATCH))


class Names:
    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()

    def enter(self, name: str) -> None:
        self.passed[name] += 1

    def exit(self, name: str) -> None:
        pass


@pytest.fixture
def stages() -> Counter[str]:
    """The stages of one forward, and how often it passes through each."""
    names = Names()
    with listen(names):
        forward()
    return names.passed


@pytest.fixture(params=["fast", "record_function"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trace, by the quick ranges of torch and by those of a torch that has none."""
    if request.param == "record_function":
        monkeypatch.setattr(trace, "_FAST", None)
    elif trace._FAST is None:
        pytest.skip("this torch has none")
    written = tmp_path / "trace.json.gz"
    record_trace(forward, FORWARDS, written, cuda=False)
    return written


def test_every_stage_is_a_range_of_the_trace(file: Path, stages: Counter[str]) -> None:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        events: list[dict[str, Any]] = json.load(text)["traceEvents"]
    marked = Counter(event["name"] for event in events if event.get("cat") == "user_annotation")
    wanted = {name: FORWARDS * times for name, times in {**stages, "iteration": 1}.items()}
    assert {name: marked[name] for name in wanted} == wanted
    assert {"forward", "plan", "block[0].attention", "merger"} <= wanted.keys()


def test_the_trace_is_read_like_any_capture(file: Path, stages: Counter[str]) -> None:
    capture = vlbench.nsys.load(file)
    table = vlbench.nsys.per_range(capture)
    times = {str(label).removeprefix(":"): int(row["instances"]) for label, row in table.iterrows()}
    assert {name: times.get(name) for name in stages} == {name: FORWARDS * n for name, n in stages.items()}
    assert table.loc[":forward", "range_ns"] <= table.loc[":iteration", "range_ns"]
    assert table.loc[":plan", "depth"] == table.loc[":iteration", "depth"] + 2


def test_operations_are_counted_over_all_forwards(tmp_path: Path) -> None:
    found = {one.name: one for one in record_trace(forward, FORWARDS, tmp_path / "trace.json", cuda=False)}
    assert found["convolution"].calls == FORWARDS
    assert found["scaled_dot_product_attention"].calls % FORWARDS == 0
    assert [one.own_seconds for one in found.values()] == sorted(
        (one.own_seconds for one in found.values()), reverse=True
    )


def test_raw_records_give_the_figures_of_torchs_own_events() -> None:
    """Of operations that call others, of the same name among them, in two threads."""
    with torch.profiler.profile(record_shapes=True) as profiler:
        forward()
        torch.ones(3, requires_grad=True).mul(2).sum().backward()  # in a thread of its own
    averages = [one for one in profiler.key_averages() if one.key.startswith("aten::")]
    wanted = {one.key.removeprefix("aten::"): (one.count, one.self_cpu_time_total * 1e-6) for one in averages}
    found = operators(raw_records(profiler) or ())
    assert {one.name: one.calls for one in found} == {name: calls for name, (calls, _) in wanted.items()}
    assert {one.name: one.own_seconds for one in found} == {
        name: pytest.approx(seconds, abs=1e-9) for name, (_, seconds) in wanted.items()
    }
    assert len(found) > 20


def test_a_profiler_without_raw_records_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert raw_records(SimpleNamespace(profiler=None)) is None
    monkeypatch.setattr(trace, "raw_records", lambda profiler: None)
    with pytest.raises(
        UsageError, match=r"the profiler of torch 2\.\S+ keeps no raw records; use torch 2\.11 to 2\.13"
    ):
        record_trace(forward, 1, tmp_path / "trace.json", cuda=False)


@pytest.mark.parametrize(("records", "busy"), [(True, BUSY * 0.5), (False, None)])
def test_the_gpu_is_busy_while_kernels_run_and_not_while_something_is_annotated(
    records: bool, busy: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(trace, "profile", partial(Profiler, Queue()))
    monkeypatch.setattr(trace, "warm_profiler", lambda: None)
    if not records:
        monkeypatch.setattr(trace, "raw_records", lambda profiler: None)
    with VirtualTime() as clock:
        found = gpu_busy_seconds(lambda: clock.sleep(0.5))
    assert found == (busy and pytest.approx(busy))


QUEUE = Record("spin_kernel", 1_000, 8_000)


@pytest.mark.parametrize(
    ("records", "seconds"),
    [
        ([QUEUE, Record("Memcpy HtoD", 8_100, 8_200), Record("gemm", 9_500, 9_900)], 1.5e-6),
        ([Record("gemm", 8_000, 9_900), QUEUE, Record("gemm", 9_900, 9_950)], 0.0),
        ([QUEUE, Record("gemm", 2_000, 3_000)], 0.0),  # on a stream of its own
        (
            [
                QUEUE,
                Record("iteration", 8_500, 9_000, annotation=True),
                Record("aten::mm", 8_600, 8_700, DeviceType.CPU),
            ],
            None,
        ),
        ([], None),
    ],
    ids=["waits", "runs ahead", "elsewhere", "no kernel", "nothing"],
)
def test_the_first_kernel_is_told_from_the_end_of_the_queue(
    records: list[Record], seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(trace, "profile", partial(Profiler, Queue()))
    monkeypatch.setattr(trace, "warm_profiler", lambda: None)
    monkeypatch.setattr(trace, "raw_records", lambda profiler: records)
    found = first_kernel_seconds(lambda: called.append("call"), lambda: called.append("queue"))
    assert found == (seconds and pytest.approx(seconds))
    assert called == ["queue", "call"]


def test_the_first_profile_of_a_process_is_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Noted(Profiler):
        def __enter__(self) -> Profiler:
            done.append("profile")
            return super().__enter__()

    warm_profiler.cache_clear()
    with cuda() as device:
        monkeypatch.setattr(trace, "profile", partial(Noted, Queue()))
        monkeypatch.setattr(trace, "operators", lambda records: [])
        monkeypatch.setattr(Profiler, "export_chrome_trace", lambda profiler, file: None, raising=False)
        with device.count() as counter:
            warm_profiler()
        assert (counter.report.total.device_operations, counter.report.total.host_syncs) == (2, 1)  # it sees a kernel
        for _ in range(2):
            gpu_busy_seconds(lambda: done.append("call"))
        warm_profiler.cache_clear()
        for on_cuda in (True, True, False):
            record_trace(lambda: done.append("call"), 1, Path("trace.json"), cuda=on_cuda)
    first, of_one = ["profile"], ["profile", "call"]
    assert done == [*first, *of_one, *of_one, *first, *of_one, *of_one, *of_one]
