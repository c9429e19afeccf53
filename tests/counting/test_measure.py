"""Real towers at full size: the numbers that people quote, found by counting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vlbench.counting.capture_job import CaptureJob, run_capture
from vlbench.counting.job import CountJob, Point
from vlbench.counting.measure import cost, count_tower
from vlbench.counting.rows import Row, rows_of
from vlbench.counting.run import run_count, run_job
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.record.base import Grid
from vlbench.record.counted import CountedTower, Forward

TINY, FULL = "qwen2.5-vl-tiny", "qwen2.5-vl-7b"
IMAGE = Point(scenario="grid", label="", grids=((1, 36, 36),))
RAGGED = Point(scenario="grid", label="", grids=((1, 10, 6), (2, 18, 14), (1, 34, 46)))
SMALL = Point(scenario="grid", label="", grids=((1, 10, 6), (1, 4, 4)))
ALIGNED = Point(scenario="grid", label="", grids=((1, 16, 16), (1, 8, 24)))


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("ghost") as opened:
        yield opened


def count(device: CountingDevice, tower: str, point: Point = IMAGE) -> CountedTower:
    found, _ = count_tower(device, Row(tower, tower), point, torch.bfloat16)
    assert found.failed is None
    assert found.complete
    return found


def warm(device: CountingDevice, tower: str, point: Point = IMAGE) -> Forward:
    forward = count(device, tower, point).warm
    assert forward is not None
    return forward


def attention_syncs(forward: Forward) -> int:
    return sum(tally.host_syncs for stage, tally in forward.counts.stages.items() if stage.endswith(".attention"))


def test_transformers_7b_in_a_process_of_its_own() -> None:
    pytest.importorskip("transformers")
    tower = f"hf:{FULL}"
    report = run_count(CountJob(towers=(tower,), variants=None, points=(IMAGE,), profile="sm_90", dtype="bfloat16"))
    assert report.complete
    (row,) = report.groups[0].towers
    assert row.warm is not None
    assert row.warm.counts.total.attention_calls == 704
    # 101 calls read back: repeat_interleave is one of them, and waits twice.
    reads = [site for site in row.warm.sites if site.event == "read-back"]
    assert sum(site.times for site in reads) - sum("repeat_interleave" in site.operation for site in reads) == 101
    copies = [site for site in row.warm.sites if site.event in ("upload", "implicit upload")]
    assert all(site.blocking for site in copies)
    assert row.warm.counts.total.host_syncs == 102 + sum(site.times for site in copies)
    (lengths,) = [site for site in reads if "lengths.tolist()" in site.expression]
    assert lengths.times == 96
    assert lengths.flags == ("host-seqlens",)
    if not torch.cuda.is_available():  # whose libraries and context are larger than all that is counted
        assert report.peak_host_bytes < 1_000_000_000
    assert report.seconds < 120  # on a machine that is busy; tests/benchmarks holds the three seconds


def counted_with_plans(device: CountingDevice, point: Point, *towers: str, **fields: Any) -> dict[str, CountedTower]:
    """By name: rows with the plan made inside, and with it handed in."""
    given: dict[str, Any] = {
        "variants": None,
        "points": (point,),
        "profile": "sm_90",
        "dtype": "bfloat16",
        "plan": True,
    }
    rows = rows_of(CountJob(towers=towers, **given | fields))
    found = {row.name: count_tower(device, row, point, torch.bfloat16)[0] for row in rows}
    assert all(each.complete for each in found.values())
    return found


@pytest.mark.slow
def test_transformers_qwen3_vl_8b_and_ours(device: CountingDevice) -> None:
    """Three `.tolist()` a layer, four `repeat_interleave` of two waits each, and the planning; and none of ours.

    With a plan handed in, theirs waits for the lengths alone, and with these on the host for nothing.
    """
    pytest.importorskip("transformers")
    rows = counted_with_plans(device, IMAGE, "hf:qwen3-vl-8b", "qwen3-vl-8b+best")
    warm = {name: row.warm for name, row in rows.items() if row.warm}
    theirs = warm["hf:qwen3-vl-8b"]
    total = theirs.counts.total
    assert (total.read_backs, total.uploads + total.implicit_uploads, total.host_syncs) == (92, 1, 93)
    assert total.device_operations == 806
    assert theirs.grids_sent == 24  # on the device before the forward, and not among its uploads
    (lengths,) = [site for site in theirs.sites if "lengths.tolist()" in site.expression]
    assert (lengths.times, lengths.flags) == (3 * 27, ("host-seqlens",))
    assert all(site.where.line for site in theirs.sites)
    assert {name: each.counts.total.host_syncs for name, each in warm.items()} == {
        "hf:qwen3-vl-8b": 93,
        "hf:qwen3-vl-8b plan=device": 81,
        "hf:qwen3-vl-8b plan=device: making it": 12,
        "hf:qwen3-vl-8b plan=host": 0,
        "hf:qwen3-vl-8b plan=host: making it": 13,
        "qwen3-vl-8b+best": 0,
        "qwen3-vl-8b+best plan=device": 0,
        "qwen3-vl-8b+best plan=device: making it": 0,
    }
    ours = warm["qwen3-vl-8b+best plan=device"]
    assert (ours.counts.total.uploads, ours.counts.total.implicit_uploads, ours.grids_sent) == (0, 0, 0)


@pytest.mark.slow
def test_what_a_forward_is_spared_by_a_plan_is_what_making_it_takes(device: CountingDevice) -> None:
    rows = counted_with_plans(device, SMALL, TINY, variants=("rope-shared", "host-seqlens"))
    ends = {"rope-shared": ("device", "host"), "host-seqlens": ("device",)}
    names = [f"{name} plan={plan}{end}" for name in ends for plan in ends[name] for end in ("", ": making it")]
    assert set(rows) == {"baseline", *ends, *names}
    for name, row in rows.items():
        assert (row.plan, row.making) == (name.partition("=")[2].partition(":")[0] or "inside", "making" in name)
        assert row.called == f"{TINY}{'' if name == 'baseline' else f'+{name}'}"
    totals = {name: row.warm.counts.total for name, row in rows.items() if row.warm}
    for name in ends:
        inside, handed, making = (totals[f"{name}{end}"] for end in ("", " plan=device", " plan=device: making it"))
        for counter in ("device_operations", "host_syncs", "uploads", "implicit_uploads", "attention_calls"):
            assert getattr(handed, counter) + getattr(making, counter) == getattr(inside, counter)
        assert making.attention_calls == handed.uploads == 0
    assert totals["rope-shared plan=device"].host_syncs > totals["rope-shared plan=host"].host_syncs == 0


def test_the_reference_tower_and_host_seqlens_at_7b(device: CountingDevice) -> None:
    reference_tower = warm(device, FULL)
    assert reference_tower.counts.total.attention_calls == 704
    assert attention_syncs(reference_tower) == 4224
    assert max(reference_tower.sites, key=lambda site: site.times).flags == ("host-seqlens",)
    assert attention_syncs(warm(device, f"{FULL}+host-seqlens")) == 0


@pytest.mark.slow
def test_preallocation_waits_more_at_7b(device: CountingDevice) -> None:
    assert attention_syncs(warm(device, f"{FULL}+sdpa-prealloc")) == 5632


@pytest.mark.slow
def test_batched_windows_call_attention_at_most_88_times_at_7b(device: CountingDevice) -> None:
    flags = f"{FULL}+host-seqlens+batched-windows"
    assert warm(device, flags).counts.total.attention_calls <= 88
    assert warm(device, flags, Point(scenario="", label="", grids=((1, 16, 16),))).counts.total.attention_calls == 32


@pytest.mark.parametrize("items", [1, 3, 12])
def test_warm_caches_compute_no_angle_and_upload_the_same_whatever_comes(device: CountingDevice, items: int) -> None:
    point = Point(scenario="", label="", grids=tuple((1, 8 + 2 * n, 6) for n in range(items)))
    forward = warm(device, f"{TINY}+host-grid+rope-cache+window-cache+host-seqlens", point)
    assert not {"aten::cos", "aten::sin"} & forward.counts.operations.keys()
    assert forward.counts.total.uploads == 1
    assert forward.counts.total.implicit_uploads == 0


@pytest.mark.slow
def test_ten_counts_of_one_tower_are_one(device: CountingDevice) -> None:
    found = {count(device, TINY, SMALL).model_dump_json() for _ in range(10)}
    assert len(found) == 1


def test_what_was_counted_before_leaves_no_trace(device: CountingDevice) -> None:
    alone = warm(device, f"{TINY}+best", RAGGED)
    count(device, TINY, ALIGNED)
    count(device, f"{TINY}+exact")
    assert warm(device, f"{TINY}+best", RAGGED) == alone


def test_a_process_that_dies_names_the_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import vlbench.counting.run as run

    cut = '{"event":"planned","rows":["a","b"]}\n{"event":"counted","poi'
    (tmp_path / "killed.py").write_text(f"import os\nos.write(1, {cut.encode()!r})\nos.kill(os.getpid(), 9)\n")
    monkeypatch.setattr(run, "WORKER", "killed")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    job = CountJob(towers=("a",), variants=None, points=(IMAGE,), profile="sm_90", dtype="bfloat16")
    report = run.run_count(job)
    assert not report.complete
    assert [row.failed for row in report.groups[0].towers] == ["its process was ended by SIGKILL (out of memory?)"] * 2


def test_a_process_that_does_not_end_is_ended() -> None:
    job = CountJob(towers=(TINY,), variants=None, points=(IMAGE,), profile="sm_90", dtype="bfloat16")
    with pytest.raises(UsageError, match="counting did not end within 0 s; count fewer towers or a smaller grid"):
        run_job(job, timeout=0.001)
    late = "counting did not end within 0 s; name fewer towers or a smaller grid"
    with pytest.raises(UsageError, match=late):
        run_capture(CaptureJob(**job.model_dump()), timeout=0.001)


def test_the_dearer_way_is_that_of_more_waits_allowed_or_not(device: CountingDevice) -> None:
    with device.count() as counter:
        pass
    none = counter.report
    waits, allowed = (
        none.model_copy(update={"total": none.total.model_copy(update=each)})
        for each in ({"host_syncs": 1}, {"host_syncs": 0, "allowed_syncs": 2})
    )
    assert max(none, waits, allowed, key=cost) is allowed


class Clamps(nn.Module):
    """Waits in each of three layers to see whether anything overflowed; one branch on a sign costs an operation."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(1176, 1176) for _ in range(3))

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        for layer in self.layers:
            pixels = layer(pixels)
            if not torch.isfinite(pixels).all():
                pixels = pixels.clamp(-1, 1)
        if pixels.mean() > 0:
            return pixels[::4].clone()
        return (pixels * 2)[::4].clone()


def test_waits_on_floats_are_counted_and_the_dearer_branch_is_taken(device: CountingDevice) -> None:
    row, _ = count_tower(device, Row("clamps", f"{__name__}:Clamps"), SMALL, torch.bfloat16)
    assert row.failed is None
    assert row.warm is not None
    counts = row.warm.counts
    assert counts.total.read_backs == 4
    assert counts.operations["aten::mul.Tensor"] == 1 + 3  # isfinite is one comparison and a product
    assert sum(each.times for each in counts.assumptions if each.certain) == 3
    (either,) = (each for each in counts.assumptions if each.branch)
    assert either.taken == "False"


def test_recorded_calls_are_counted_in_their_order_by_one_tower(device: CountingDevice) -> None:
    usual, other = (1, 4, 6), (1, 4, 8)

    def operations(when: str, *grids: Grid, calls: tuple[int, ...] = ()) -> int:
        row = count(device, f"{TINY}+rope-cache", Point(scenario="", label="", grids=grids, calls=calls))
        return int(getattr(row, when).counts.total.device_operations)

    first, second = operations("cold", usual), operations("warm", usual)
    assert second < first
    assert operations("cold", usual, usual, usual, calls=(1, 1, 1)) == first + 2 * second
    parts = second + operations("warm", other, usual)
    assert operations("warm", usual, other, usual, calls=(1, 2)) == parts
    assert operations("cold", usual, other, calls=(1, 1)) == first + operations("cold", other)
