"""Advice names a flag only with a count, and only where most forwards show the pattern."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vlbench.nsys
from vlbench.implementations.optimized import OPTIMIZATIONS
from vlbench.nsys.advice import Advice, rules

from .server import MAIN, Server


def advice(server: Server, folder: Path) -> dict[str, Advice]:
    capture = vlbench.nsys.load(server.database.save(folder / "server.sqlite"))
    forwards = vlbench.nsys.find_forwards(capture)
    assert forwards is not None
    return {found.flag or found.what: found for found in vlbench.nsys.advise(capture, forwards)}


SYNCS, PIXELS, LAUNCHES = "stream synchronizations", "uploads of 4 MiB or more", "kernel launches"
"""What no flag of ours removes."""


def test_a_synchronization_per_layer(tmp_path: Path) -> None:
    server = Server()
    for _ in range(38):
        server.encoder(32, syncs=True, name="vision_encoder")
    found = advice(server, tmp_path)
    assert found[SYNCS].flag is None
    assert found[SYNCS].sentence.startswith(
        "32 stream synchronizations inside 38 of 38 forwards: about one read-back per layer"
    )
    assert "host-grid" not in found
    assert "host-seqlens" not in found
    assert "pinned-h2d" not in found  # the pageable copies here are read-backs


@pytest.mark.parametrize(("syncs", "flag"), [(1, "host-grid"), (8, SYNCS), (250, "host-seqlens")])
def test_the_number_of_synchronizations_tells_the_cause(tmp_path: Path, syncs: int, flag: str) -> None:
    server = Server()
    for _ in range(2):
        begin = server.now - 1
        server.kernels(["flash_fwd"])
        for _ in range(syncs):
            server.sync(read_back=False)
        server.database.range(begin, server.now, "vision_encoder", MAIN)
    assert list(advice(server, tmp_path)) == [flag]


def test_waiting_for_launches_is_said_with_the_idle_share(tmp_path: Path) -> None:
    server = Server()
    for _ in range(2):
        begin = server.now - 1
        for _ in range(200):
            server.kernels(["flash_fwd"])
            server.now += 10
        server.database.range(begin, server.now, "vision_encoder", MAIN)
    found = advice(server, tmp_path)[LAUNCHES]
    assert found.sentence.startswith(
        "200 kernel launches inside 2 of 2 forwards, the GPU idle for 60% of their span: the "
    )


def test_a_clean_forward_gets_no_advice(tmp_path: Path) -> None:
    server = Server()
    for _ in range(4):
        server.encoder(4, name="vision_encoder")
        server.sync()  # outside
    assert advice(server, tmp_path) == {}


def test_a_pattern_of_few_forwards_is_no_advice(tmp_path: Path) -> None:
    server = Server()
    for number in range(5):
        server.encoder(8, syncs=number == 0, name="vision_encoder")
    assert SYNCS not in advice(server, tmp_path)


ELEMENTWISE = "void at::native::vectorized_elementwise_kernel<4, at::native::{}(at::TensorIteratorBase&)>"


@pytest.mark.parametrize(
    ("kernel", "times", "flag"),
    [
        (ELEMENTWISE.format("cos_kernel_cuda"), 64, "rope-shared"),
        (ELEMENTWISE.format("sin_kernel_cuda"), 1, "rope-cache"),
        (ELEMENTWISE.format("neg_kernel_cuda"), 64, "rope-packed"),
        ("void cub::DeviceRadixSortOnesweepKernel<int>", 2, "window-cache"),
        ("void at::native::(anonymous namespace)::adjacent_difference", 1, "no-empty-windows"),
        ("fmha_cutlassF_bf16_aligned_64x128_rf_sm80", 704, "batched-windows"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x128_4x1x1", 704, "batched-windows"),
        ("cudnn_generated_fort_native_sdpa_sm100_fprop_f16", 704, "batched-windows"),
        ("void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<96, 128, 64, 4>>", 704, "batched-windows"),
        ("void (anonymous namespace)::softmax_warp_forward<c10::BFloat16, float>", 704, "batched-windows"),
        ("void at::native::(anonymous namespace)::cunn_SoftMaxForward<8, float>", 704, "batched-windows"),
        ("void implicit_convolveNd_sgemm<float>", 1, "patch-matmul"),
    ],
)
def test_kernels_that_betray_a_naive_forward(tmp_path: Path, kernel: str, times: int, flag: str) -> None:
    server = Server()
    for _ in range(2):
        begin = server.now - 1
        server.kernels(["softmax", *[kernel] * times])
        server.database.range(begin, server.now, "vision_encoder", MAIN)
    found = advice(server, tmp_path)
    assert flag in found
    assert (found[flag].least, found[flag].most, found[flag].seen) == (times, times, 2)


def test_uploads(tmp_path: Path) -> None:
    server = Server()
    begin = server.now - 1
    for size in [64] * 4 + [8 << 20]:
        server.database.call(server.now, server.now + 3, "cudaMemcpyAsync", MAIN, server.corr)
        server.database.copy(server.now + 1, server.now + 2, MAIN, server.corr, size=size)
        server.corr += 1
        server.now += 10
    server.database.range(begin, server.now, "vision_encoder", MAIN)
    found = advice(server, tmp_path)
    assert found["pinned-h2d"].least == 5
    assert found["packed-h2d"].least == 4
    assert found[PIXELS].least == 1


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule.flag or rule.what}-{rule.least}")
def test_every_rule_is_well_formed(rule: object) -> None:
    from vlbench.nsys.advice import Rule

    assert isinstance(rule, Rule)
    assert rule.flag is None or rule.flag in OPTIMIZATIONS
    assert sum(map(bool, (rule.api, rule.kernel, rule.copy))) == 1
    assert rule.least >= 1
    assert rule.most is None or rule.most >= rule.least
    re.compile(rule.api or rule.kernel or rule.copy)
