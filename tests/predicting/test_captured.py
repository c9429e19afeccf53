"""A profiler's capture held against the tables and the host model: traces made by hand, and real captures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.predict_published import host_sentence, host_table
from tests.nsys.conftest import public_captures as public_captures
from vlbench.errors import UsageError
from vlbench.export.held_capture import captured, held_capture_sheet, hosts_in_words, predicted
from vlbench.export.sheet import Words, records
from vlbench.kernel_times import board
from vlbench.predicting.captured import HeldHost, held_capture, held_host
from vlbench.predicting.captured_host import act_times
from vlbench.predicting.host import QUANTILES, Seen

H100, BF16 = "NVIDIA H100 80GB HBM3", "c10::BFloat16"
PRODUCT = [[1296, 1280], [1280, 3840]]
US = board("h100").product(1296, 3840, 1280, "bfloat16").us


def op(name: str, start: float, dims: Any = None, kind: str = BF16, length: float = 50) -> dict[str, Any]:
    given = {} if dims is None else {"Input Dims": dims, "Input type": [kind if each else "Scalar" for each in dims]}
    return {"ph": "X", "cat": "cpu_op", "name": name, "pid": 7, "tid": 7, "ts": start, "dur": length, "args": given}


def kernel(number: int, start: float, us: float) -> list[dict[str, Any]]:
    asked = {"correlation": number}
    on_gpu = {"cat": "kernel", "name": "gemm", "pid": 0, "tid": 7, "ts": start + 20, "dur": us}
    call = {"cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 7, "tid": 7, "ts": start, "dur": 3}
    return [{"ph": "X", "args": asked} | call, {"ph": "X", "args": asked | {"device": 0, "stream": 7}} | on_gpu]


def trace(folder: Path, *events: dict[str, Any], gpu: str = H100) -> Path:
    path = folder / "trace.json"
    head = {"deviceProperties": [{"id": 0, "name": gpu}]} if gpu else {}
    path.write_text(json.dumps(head | {"traceEvents": list(events)}))
    return path


def runs(name: str, us: list[float], dims: Any = None, kind: str = BF16, first: int = 0) -> list[dict[str, Any]]:
    """One operator several times, each with a kernel."""
    found: list[dict[str, Any]] = []
    for number, each in enumerate(us, first):
        found += [op(name, 1000.0 * number, dims, kind), *kernel(number, 1000.0 * number + 10, each)]
    return found


def test_products_are_held_against_the_tables_of_the_gpu_of_the_capture(tmp_path: Path) -> None:
    slow = runs("aten::mm", [4 * US], [[1296, 1280], [1280, 1280]], first=3)
    found = held_capture(trace(tmp_path, *runs("aten::mm", [US, 1.1 * US, 0.9 * US], PRODUCT), *slow))
    assert (found.gpu, found.gpus, found.intact) == ("h100", (H100,), True)
    hit, miss = sorted(found.kernels, key=lambda each: -each.runs)
    assert (hit.operation, hit.shapes, hit.by, hit.runs) == ("aten::mm", "1296x1280 1280x3840", "products", 3)
    assert hit.captured == pytest.approx(US * 1e-6, rel=1e-3)
    assert (hit.verdict, miss.verdict) == ("hit", "miss")
    assert found.busy == pytest.approx(7 * US * 1e-6, rel=1e-3)
    assert captured([hit, miss]) == pytest.approx(found.busy, rel=1e-3)
    time = board("h100").product(1296, 3840, 1280, "bfloat16")
    assert predicted([hit]).high == pytest.approx(3e-6 * time.high)


def test_a_kernel_is_of_the_innermost_operator_around_its_launch(tmp_path: Path) -> None:
    outer = [op("aten::linear", 0, [[64, 1280], [1280, 1280], [1280]]), op("aten::t", 2, [[1280, 1280]], length=3)]
    inner = [op("aten::addmm", 6, [[1280], [64, 1280], [1280, 1280], [], []], length=40)]
    events = [*outer, *inner, *kernel(1, 10, 5), *kernel(2, 20, 3), *kernel(3, 900, 2)]
    (found,) = held_capture(trace(tmp_path, *events)).kernels
    assert (found.operation, found.by, found.runs) == ("aten::addmm", "products", 1)
    assert found.captured == pytest.approx(8e-6)


def test_element_wise_operators_go_by_their_bytes_and_attention_by_its_table(tmp_path: Path) -> None:
    dims = [[4, 1296, 16, 80]] * 3
    events = runs("aten::add", [9], [[1296, 1280], [1280]]) + runs("aten::_flash_attention_forward", [9], dims, first=1)
    add, attend = sorted(held_capture(trace(tmp_path, *events)).kernels, key=lambda each: each.operation, reverse=True)
    moved = board("h100").moved(2 * (2 * 1296 * 1280 + 1280))
    assert add.by == "by bytes"
    assert add.predicted
    assert add.predicted.high == pytest.approx(1e-6 * moved.high)
    assert attend.by == "attention"
    assert attend.predicted
    assert attend.predicted.high == pytest.approx(1e-6 * board("h100").attention(4, 16, 1296, 80, "bfloat16").high)


@pytest.mark.parametrize(
    ("name", "dims", "kind", "why"),
    [
        ("aten::mm", None, BF16, "does not name its shapes"),
        ("aten::mm", "no list", BF16, "does not name its shapes"),
        ("aten::cat", [[[2, 3], [2, 3]]], "TensorList", "does not name its shapes"),
        ("aten::mm", PRODUCT, "c10::complex<float>", "does not name its shapes"),
        ("aten::mm", PRODUCT, "float", "no product in float32 is in the tables"),
        ("aten::mm", [[3], [3]], BF16, "such shapes are none of that operator"),
        ("aten::bmm", [[4, 64, 64], [4, 64, 64]], BF16, "products in batches"),
        ("aten::sort", [[1296]], BF16, "what it writes does not follow"),
        ("flash_attn::_flash_attn_varlen_forward", [[1296, 16, 80]] * 3, BF16, "lengths are not known"),
    ],
)
def test_what_is_not_predicted_says_why(name: str, dims: Any, kind: str, why: str, tmp_path: Path) -> None:
    event = op(name, 0) | {"args": {} if dims is None else {"Input Dims": dims, "Input type": [kind] * len(dims)}}
    found = held_capture(trace(tmp_path, event, *kernel(1, 10, 5)))
    (held,) = found.kernels
    assert why in held.why_not
    assert (held.predicted, held.verdict, found.complete) == (None, "not predicted", False)
    assert held_capture_sheet(found).exit_code == 6


def test_a_gpu_without_tables_and_one_that_is_not_the_captures(tmp_path: Path) -> None:
    other = trace(tmp_path, *runs("aten::mm", [US], PRODUCT), gpu="NVIDIA A100-SXM4-40GB")
    found = held_capture(other)
    assert (found.gpu, found.kernels) == ("", ())
    assert found.why_no_gpu.startswith("no kernel times are stored for NVIDIA A100")
    with pytest.raises(UsageError, match=r"^--gpu h100: NVIDIA A100-SXM4-40GB is the GPU of the capture"):
        held_capture(other, "h100")
    nameless = trace(tmp_path, *runs("aten::mm", [US], PRODUCT), gpu="")
    assert held_capture(nameless).why_no_gpu.startswith("the capture does not name its GPU")
    assert held_capture(nameless, "h200").gpu == "h200"


def test_a_damaged_operator_is_refused_in_a_sentence(tmp_path: Path) -> None:
    event = op("aten::mm", 0, PRODUCT) | {"ts": "soon"}
    with pytest.raises(UsageError, match=r"trace\.json: an operator of the trace has a time, thread or shape of no"):
        held_capture(trace(tmp_path, event, *runs("aten::mm", [US], PRODUCT)))


def test_programs_get_every_miss(tmp_path: Path) -> None:
    events = [each for n in (256, 512, 1024) for each in runs("aten::mm", [900], [[1296, 1280], [1280, n]], first=n)]
    sheet = held_capture_sheet(held_capture(trace(tmp_path, *events)), limit=1)
    rows = [row for row in records(sheet.tables) if row["table"] == "held_misses"]
    assert [row["shapes"] for row in rows] == [f"1296x1280 1280x{n}" for n in (256, 512, 1024)]
    assert all(row["captured"] == pytest.approx(900e-6) for row in rows)


def test_an_act_is_a_hit_where_the_median_is_near_and_the_band_is_as_wide_as_it_says() -> None:
    act = HeldHost(
        capture="one", act="launch", count=100, fast=10, slow=20, high=40, seen=(9, 38), median=22, inside=0.8
    )
    assert (act.near, act.verdict) == (True, "hit")
    assert act.model_copy(update={"median": 25.0}).verdict == act.model_copy(update={"median": 16.0}).verdict == "hit"
    assert act.model_copy(update={"median": 25.1}).verdict == act.model_copy(update={"median": 15.9}).verdict == "miss"
    assert act.model_copy(update={"inside": 0.5}).verdict == "miss", "the band is too narrow"
    assert act.model_copy(update={"inside": 1.0}).verdict == "miss", "so wide a band says nothing"
    assert act.model_copy(update={"median": 0.0, "slow": 0.0}).verdict == "hit"
    assert act.model_copy(update={"median": None}).verdict == "not predicted", "of a file of before"
    before = act.model_copy(update={"median": None})
    unjudged = "not judged: the file was written before what that takes was kept."
    assert hosts_in_words([before] * 3) == f"3 acts of the host were {unjudged}"
    assert hosts_in_words([act, before]).startswith("1 of 1 acts of the host is a hit; ")
    assert hosts_in_words([act, before]).endswith(f" 1 act of the host was {unjudged}")
    assert (
        hosts_in_words([act])
        == "1 of 1 acts of the host is a hit; bands end at 4.0 times where they begin, in the median."
    )


def test_the_page_counts_the_hits_and_says_what_one_figure_for_all_would_be_worth() -> None:
    """The band that everything lies in is a miss by now: so are most acts."""
    told = " ".join(host_sentence().split())
    assert told.startswith(f"{host_table().count('| hit |')} of 25 acts of the host are hits; bands end at ")
    assert "| allocation |" not in host_table(), "the same samples as of host operations"
    assert told.endswith(
        "one figure for all 22 whose median is some microseconds, the best there is, would be near in 8."
    )


def test_the_share_inside_is_that_of_the_samples() -> None:
    samples = np.random.default_rng(3).lognormal(3, 0.6, 4000)
    samples[:900] = 0.0  # an upload that costs no more than a launch
    at = tuple(map(float, np.quantile(samples, QUANTILES)))
    seen = Seen(capture="one", version="", count=4000, us=at)
    for low, high in ((0.0, 0.0), (0.0, 20.0), (10.0, 30.0), (25.0, 1e6), (-5.0, -1.0), (40.0, 40.0)):
        wanted = float(np.mean((samples >= low) & (samples <= high)))
        assert seen.inside(low, high) == pytest.approx(wanted, abs=0.03)


def test_two_captures_of_one_program_hold_each_other(public_captures: Path) -> None:
    """One of a quiet host, one of a host that took 1.6 times as long from launch to launch: most of it is missed."""
    both = [public_captures / "captures" / f"two_processes_{name}.sqlite" for name in ("before", "after")]
    held = [found for act in act_times(both) for seen in act.seen if (found := held_host(act, seen))]
    assert {each.act for each in held} >= {"launch", "view", "allocation", "until a kernel begins"}
    assert len(held) == 14
    verdicts = {(each.act, each.verdict) for each in held}  # each capture's median beside the other's, microseconds:
    assert verdicts == {
        ("launch", "miss"),  # 25.5 and 41.2
        ("attention call", "miss"),  # 6.6 and 4.1 launches
        ("view", "miss"),  # 4.6 and 6.2
        ("host operation", "hit"),  # 4.8 and 4.9, with 86 % and 70 % of the samples in the other's band
        ("allocation", "hit"),  # the same samples
        ("pageable upload", "miss"),  # 7.6 and 4.3
        ("until a kernel begins", "miss"),  # 9.3 and 13.0
    }


def test_a_trace_of_eight_gpus_of_one_kind_names_it_once(tmp_path: Path) -> None:
    path = trace(tmp_path, *runs("aten::mm", [US], PRODUCT))
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"deviceProperties": document["deviceProperties"] * 8}))
    found = held_capture(path)
    assert found.gpus == (H100,)
    assert held_capture_sheet(found).parts[0] == Words(f"trace.json: {H100}, kernels as predicted for h100", "bold")


def copied(number: int, direction: str, us: float, size: int | None) -> list[dict[str, Any]]:
    """A copy, asked for at the time that `runs` gives to the operator of this number."""
    call, on_gpu = kernel(number, 1000.0 * number + 10, us)
    sized = {} if size is None else {"bytes": size}
    on_gpu |= {"cat": "gpu_memcpy", "name": f"Memcpy {direction} (Pinned -> Device)", "args": on_gpu["args"] | sized}
    return [call | {"name": "cudaMemcpyAsync"}, on_gpu]


def test_copies_are_held_as_predictions_have_them(tmp_path: Path) -> None:
    """All that keeps the GPU busy: copies over the bus by their bytes, those on the device as passes."""
    dims = [[1296, 1280], [1296, 1280]]
    events = runs("aten::mm", [US], PRODUCT)
    for number, (direction, size) in enumerate((("HtoD", 9 << 20), ("DtoD", 3 << 20), ("DtoH", None)), 1):
        events += [op("aten::copy_", 1000.0 * number, dims), *copied(number, direction, 200, size)]
    found = held_capture(trace(tmp_path, *events))
    assert found.busy == found.named == pytest.approx((US + 600) * 1e-6, rel=1e-3)
    assert captured(list(found.kernels)) == pytest.approx(found.busy, rel=1e-3)
    up, inside, down = (each for each in found.kernels if each.operation == "aten::copy_")
    bus, memory = board("h100").copied(9 << 20), board("h100").moved(2 * 1296 * 1280 * 2)
    assert up.predicted
    assert up.predicted.high == pytest.approx(bus.high * 1e-6)
    assert inside.predicted
    assert inside.predicted.high == pytest.approx(memory.high * 1e-6)
    assert (down.predicted, down.why_not) == (None, "the capture does not say how many bytes it copies")


@pytest.mark.slow(2)
def test_a_real_trace_with_shapes(public_captures: Path) -> None:
    found = held_capture(public_captures / "kineto" / "sampled_rank-0.json.gz", "h100")
    products = [each for each in found.kernels if each.operation == "aten::mm"]
    assert products
    assert all(each.shapes.count("x") == 2 for each in products)
    assert {each.why_not for each in products} == {products[0].why_not}
    assert "no product in float32 is in the tables" in products[0].why_not
    assert any(each.by == "by bytes" for each in found.kernels)
    assert sum(each.captured * each.runs for each in found.kernels) <= found.busy * 1.1
