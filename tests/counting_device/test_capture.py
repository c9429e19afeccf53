"""What a CUDA graph cannot hold: it is listed with its line, and in a capture it is the error of a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vlbench.counting_device import CountingDevice
from vlbench.counting_device.capture import StageError, Stages
from vlbench.counting_device.graphs import GraphError
from vlbench.errors import UsageError
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.execution.graphs import GraphExact
from vlbench.implementations.execution.runners import CaptureRunner
from vlbench.implementations.optimized import preset_flags
from vlbench.implementations.stage import listen, stage
from vlbench.record.capturable import BLOCKERS
from vlbench.record.sequence import REPLAY

Do = Callable[[Tensor], object]

ENDS: dict[str, tuple[str, Do]] = {
    "item": ("read-back", lambda x: x.sum().item()),
    "list": ("read-back", lambda x: x.tolist()),
    "if": ("host branch", lambda x: bool((x > 0).any())),
    "nonzero": ("data-dependent shape", lambda x: (x > 0).nonzero()),
    "mask": ("data-dependent shape", lambda x: x[x > 0]),
    "masked write": ("data-dependent shape", lambda x: x.index_put_((x > 0,), x[:2].clone())),
    "repeat": ("data-dependent shape", lambda x: x.repeat_interleave(x.abs())),
    "unique": ("data-dependent shape", lambda x: x.unique()),
    "upload": ("pageable upload", lambda x: torch.arange(3).to(x.device)),
    "without waiting": ("pageable upload", lambda x: torch.arange(3).to(x.device, non_blocking=True)),
    "host index": ("pageable upload", lambda x: x[torch.tensor([0, 2])]),
    "pin": ("pinned allocation", lambda x: torch.arange(3).pin_memory()),
    "empty pinned": ("pinned allocation", lambda x: torch.empty(3, pin_memory=True)),
    "download": ("pinned allocation", lambda x: x.to("cpu", non_blocking=True)),
    "synchronize": ("wait", lambda x: torch.cuda.synchronize()),
    "event": ("wait", lambda x: torch.cuda.Event().query()),  # type: ignore[no-untyped-call]
    "stream": ("wait", lambda x: torch.cuda.current_stream().query()),
    "free": ("wait", lambda x: torch.cuda.empty_cache()),
}
HOLDS: dict[str, Do] = {
    "operations": lambda x: (x.float() * 2).softmax(0).view(-1, 1).expand(-1, 4) + 1,
    "sized repeat": lambda x: x.repeat_interleave(torch.ones_like(x), output_size=len(x)),
    "made there": lambda x: torch.arange(4, device=x.device) + torch.full((4,), 2.0, device=x.device),
    "masked fill": lambda x: x.masked_fill(x > 0, 0),
    "host work": lambda x: torch.arange(3).sum().item(),
    "wait of a stream": lambda x: torch.cuda.current_stream().wait_event(torch.cuda.Event().record()),  # type: ignore[no-untyped-call, func-returns-value]
}


@pytest.fixture
def x(device: CountingDevice) -> Tensor:
    return device.upload(torch.arange(3))


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_a_capture_is_listed_with_its_line(device: CountingDevice, x: Tensor, what: str) -> None:
    kind, do = ENDS[what]
    with device.watch() as watch:
        do(x)
    assert {each.kind for each in watch.blockers} == {kind}
    assert {each.where.file for each in watch.blockers} == {"test_capture.py"}
    line = Path(__file__).read_text().splitlines()[(watch.blockers[0].where.line or 0) - 1]
    assert line.strip().startswith(f'"{what}": ')


def test_every_kind_is_tried_but_one() -> None:
    assert {kind for kind, _ in ENDS.values()} == {*BLOCKERS} - {"waiting upload"}


def test_a_copy_from_pinned_memory_ends_a_capture_where_it_waits_alone(device: CountingDevice, x: Tensor) -> None:
    pinned = torch.arange(3).pin_memory()
    with device.watch() as watch:
        pinned.to(x.device, non_blocking=True)
        x.copy_(pinned, non_blocking=True)
    assert watch.blockers == ()
    with device.watch() as watch:
        pinned.to(x.device)
    assert [each.kind for each in watch.blockers] == ["waiting upload"]


@pytest.mark.parametrize("what", HOLDS)
def test_what_a_graph_holds_is_not_listed(device: CountingDevice, x: Tensor, what: str) -> None:
    with device.watch() as watch:
        HOLDS[what](x)
    assert watch.blockers == ()
    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        HOLDS[what](x)


@pytest.mark.parametrize("what", ENDS)
def test_in_a_capture_it_is_an_error_with_the_line(device: CountingDevice, x: Tensor, what: str) -> None:
    kind, do = ENDS[what]
    words = f"^(CUDA error: operation not permitted|Cannot copy between).*: {kind}, "
    with pytest.raises(GraphError, match=words), torch.cuda.graph(torch.cuda.CUDAGraph()):
        do(x)
    assert not torch.cuda.is_current_stream_capturing()
    do(x)  # and after it all is as before


def test_a_wait_that_is_allowed_ends_a_capture_all_the_same(device: CountingDevice, x: Tensor) -> None:
    with device.watch() as watch:
        x.sum().item()  # vlbench: allow-sync a capture knows no marks
    assert len(watch.blockers) == 1


def test_lines_are_counted_and_regions_cut_out(device: CountingDevice, x: Tensor) -> None:
    def forward() -> None:
        for name in ("first", "second", "second", "third"):
            with stage(name):
                x.sum().item()

    stages = Stages()
    with listen(stages):
        forward()
    for first, last, times in (("first", "third", 4), ("second", "second", 2), ("second", "third", 3)):
        region = stages.region(first, last)
        with device.watch(region) as watch, listen(region):
            forward()
        assert [each.times for each in watch.blockers] == [times]
    for wrong in (("first", "fourth"), ("third", "second")):
        with pytest.raises(StageError, match="--region: "):
            stages.region(*wrong)


# Graphs.


def test_a_replay_computes_again_what_was_captured(device: CountingDevice, x: Tensor) -> None:
    graph, out = torch.cuda.CUDAGraph(), torch.zeros_like(x)
    with torch.cuda.graph(graph):
        assert torch.cuda.is_current_stream_capturing()
        part = (x * 2)[1:]
        out += 1
        made = torch.cat([part, x])
    x.fill_(7)
    with device.count() as counter:
        graph.replay()
    assert counter.report.operations == {REPLAY: 1}
    if device.mode == "shadow":
        assert device.download(made).tolist() == [14, 14, 7, 7, 7]
        assert device.download(part).tolist() == [14, 14]
        assert device.download(out).tolist() == [2, 2, 2]


def test_a_replay_holds_what_the_host_knew_and_reads_pinned_memory_again() -> None:
    with CountingDevice("shadow") as device, torch.inference_mode():
        x, scale, pinned = device.upload(torch.ones(2)), 3, torch.ones(2).pin_memory()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = x * scale + pinned.to(x.device, non_blocking=True)
        scale = 5
        pinned.fill_(10)
        graph.replay()
        assert device.download(y).tolist() == [13, 13]


def test_begin_and_end_belong_together(device: CountingDevice, x: Tensor) -> None:
    graph = torch.cuda.CUDAGraph()
    for wrong in (graph.capture_end, graph.replay):
        with pytest.raises(GraphError):
            wrong()
    graph.capture_begin(pool=torch.cuda.graph_pool_handle())
    with pytest.raises(GraphError, match="a capture is under way already"):
        torch.cuda.CUDAGraph().capture_begin()
    with pytest.raises(GraphError):
        x.sum().item()
    with pytest.raises(GraphError, match="due to a previous error during capture"):
        graph.capture_end()
    graph.capture_begin()
    y = x + 1
    graph.capture_end()
    graph.replay()
    graph.reset()
    with pytest.raises(GraphError):
        graph.replay()
    assert y.shape == x.shape


def test_what_is_not_known_of_graphs_is_refused(device: CountingDevice) -> None:
    with pytest.raises(UsageError, match=r"CUDAGraph.debug_dump is not known"):
        torch.cuda.CUDAGraph().debug_dump("graph.dot")
    with pytest.raises(UsageError, match="make_graphed_callables is not known"):
        torch.cuda.make_graphed_callables(torch.nn.Linear(2, 2), ())


@pytest.mark.slow(10)
@pytest.mark.parametrize("flag", ["graph-exact", "graph-budget"])
@pytest.mark.parametrize("model", ["qwen2.5-vl-tiny", "qwen3-vl-tiny"])
def test_what_our_graphs_capture_is_capturable(model: str, flag: str) -> None:
    """What `graph-budget` captures on CUDA attends by a kernel that no CPU has: shapes alone are replayed then."""
    from vlbench.towers.models import drawn

    config = MODELS[model]
    flags = preset_flags("best", config, "cuda")[0] | {flag, "host-seqlens"}
    values = flag == "graph-exact"
    dtype = torch.float32 if values else torch.bfloat16
    with CountingDevice("shadow" if values else "ghost") as device, torch.inference_mode():
        weights = drawn(config, torch.device("cuda"), dtype)
        plain, graphed = (build_tower(config, chosen, weights, "cuda") for chosen in (flags - {flag}, flags))
        execution: Any = graphed.execution
        assert isinstance(execution, GraphExact)
        execution.runner = CaptureRunner()
        for seed in range(2):  # a replay of other pixels is right to the last bit
            grids = torch.tensor([[1, 8, 8], [1, 4, 12]])
            pixels = device.pixels((112, config.preprocessing.patch_dim), dtype, seed=seed)
            with device.count() as counter:
                graph, eager = (device.download(_tokens(tower(pixels, grids))) for tower in (graphed, plain))
            assert counter.report.operations[REPLAY] == 1 + (seed == 0)
            assert graph.shape == eager.shape
            assert not values or torch.equal(graph, eager)
        assert len(execution.graphs) == 1


def _tokens(returned: Any) -> Tensor:
    return returned if isinstance(returned, Tensor) else returned.tokens  # type: ignore[no-any-return]
