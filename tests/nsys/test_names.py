"""Names: versions dropped, families told, arguments removed."""

from __future__ import annotations

import pytest

from vlbench.nsys.names import api_name, family, range_name


@pytest.mark.parametrize(
    ("recorded", "name", "kind"),
    [
        ("cudaLaunchKernel_v7000", "cudaLaunchKernel", "launch"),
        ("cudaLaunchKernelExC_v11060", "cudaLaunchKernelExC", "launch"),
        ("cuLaunchKernelEx", "cuLaunchKernelEx", "launch"),
        ("cudaGraphLaunch_v10000", "cudaGraphLaunch", "graph_launch"),
        ("cudaStreamGetCaptureInfo_v2_v11030", "cudaStreamGetCaptureInfo_v2", "other"),
        ("cudaStreamSynchronize_v3020", "cudaStreamSynchronize", "sync"),
        ("cuCtxSynchronize", "cuCtxSynchronize", "sync"),
        ("cudaStreamWaitEvent_v3020", "cudaStreamWaitEvent", "wait"),
        ("cudaEventQuery_v3020", "cudaEventQuery", "event"),
        ("cudaEventSynchronize_v3020", "cudaEventSynchronize", "sync"),
        ("cudaMemcpyAsync_v3020", "cudaMemcpyAsync", "copy_async"),
        ("cudaMemcpy2D_v3020", "cudaMemcpy2D", "copy_blocking"),
        ("cudaMemcpyToSymbol_v3020", "cudaMemcpyToSymbol", "copy_blocking"),
        ("cuMemcpyHtoDAsync_v2", "cuMemcpyHtoDAsync_v2", "copy_async"),
        ("cudaMemsetAsync_v3020", "cudaMemsetAsync", "memset"),
        ("cudaMalloc_v3020", "cudaMalloc", "alloc"),
        ("cudaMallocAsync_v11020", "cudaMallocAsync", "pool"),
        ("cudaFreeHost_v3020", "cudaFreeHost", "alloc"),
        ("cuMemGetInfo_v2", "cuMemGetInfo_v2", "other"),
        ("cuLibraryLoadData", "cuLibraryLoadData", "module_load"),
    ],
)
def test_api_names_and_families(recorded: str, name: str, kind: str) -> None:
    assert api_name(recorded) == name
    assert family(name) == kind


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("forward", "forward"),
        ("aten::add, seq = 4, op_id = 12", "aten::add"),
        ("aten::cat, op_id = 12, sizes = [[1, 2], []]", "aten::cat"),
        ("a, b", "a, b"),
        ("{'Module': 'top.visual.blocks.0', 'Inputs': [[4, 8]]}", "top.visual.blocks.0"),
        ("ProfilerStep#101", "ProfilerStep"),
    ],
)
def test_range_names(text: str, name: str) -> None:
    assert range_name(text) == name
