"""Rows: bands over hosts and errors, pairs, what would pay, and totals that are not told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.predicting.hand_made import BOARD, HIGH, LOW, READ, VIEW, add, attend, mm, run, tensor
from vlbench.kernel_times import board
from vlbench.predicting.floor import floor_of
from vlbench.predicting.host import hosts
from vlbench.predicting.kernels import By, Kernels, Took
from vlbench.predicting.pays import TRIED, Change, changes_of, pays
from vlbench.predicting.predicted import Band, Predicted
from vlbench.predicting.rows import Simulated, row_of, simulated
from vlbench.predicting.timeline import Step, simulate, steps_of, stretches
from vlbench.record.sequence import REPLAY, Event, Kind, Operand

SMALL = [add(stage=f"block[{number}].mlp") for number in range(50)]


def own_floor(events: list[Event], kernels: Kernels | None = None) -> Took | None:
    """Of a tower that is none of ours."""
    return floor_of(kernels or Kernels(BOARD), "", [(1, 4, 6)], "bfloat16", events)


def left(change: Change) -> list[Step]:
    return [step for stretch in change.left for step in stretch.steps]


def made(name: str, events: list[Event]) -> Simulated:
    return simulated(name, name, "warm", [("whole", tuple(events))], Kernels(BOARD))


def test_no_time_is_told_of_graphs_that_cannot_be_or_are_not_known() -> None:
    inside = [replace(each, replayed=True) for each in (mm(200), READ)]
    row = row_of(made("a", inside), None, None)
    assert row.failed == "aten::_local_scalar_dense at tower.py:3 waits, which no CUDA graph can hold"
    assert row.span is None
    foreign = row_of(made("a", [add(), Event(Kind.OPERATION, REPLAY)]), None, None)
    assert foreign.failed == "what its own CUDA graphs replay has no predicted time"
    assert foreign.not_predicted == {f"{REPLAY}: what a graph replays is counted as one operation": 1}
    chunks = [("whole", tuple(inside[:1]))]
    cold = row_of(simulated("a", "a", "cold", chunks, Kernels(BOARD)), None, None)
    assert cold.failed is not None
    assert cold.failed.startswith("its first call captures a CUDA graph")
    warm = row_of(simulated("a", "a", "warm", chunks, Kernels(BOARD)), None, None)
    assert (warm.failed, warm.replayed) == (None, 1)


def test_a_band_goes_from_the_fast_host_to_the_slow_one() -> None:
    row = row_of(made("a", SMALL), None, None)
    fast, slow = hosts()
    assert row.span is not None
    assert row.span.low >= 50 * fast.us["launch"] * 1e-6
    assert row.span.high == pytest.approx((50 * slow.us["launch"] + slow.us["until a kernel begins"]) * 1e-6, rel=0.1)
    assert row.bound == "host"
    assert [stage.stage for stage in row.stages] == ["block[*].mlp"]
    assert row.stages[0].span.low == pytest.approx(row.span.low)


def test_a_row_of_large_products_is_bound_by_the_device() -> None:
    assert row_of(made("a", [mm(400)] * 200), None, None).bound == "device"


def test_pairs_are_told_apart_where_their_bands_overlap() -> None:
    slower, faster = made("slower", SMALL * 10), made("faster", SMALL * 8)
    row, other = row_of(faster, slower, None), row_of(slower, None, None)
    assert row.span
    assert other.span
    assert row.span.high > other.span.low, "else nothing is shown"
    assert row.ratio
    assert row.ratio.low == pytest.approx(1.25, rel=0.02)
    assert row.ratio.high == pytest.approx(1.25, rel=0.02)
    assert (row.told_apart, row.against) == (True, "slower")


def test_a_ratio_whose_band_holds_1_tells_nothing() -> None:
    row = Predicted(row="a", tower="a", gpu="hand", forward="warm", ratio=Band(low=0.98, high=1.4))
    assert row.told_apart is False
    assert row.model_copy(update={"ratio": Band(low=1.01, high=1.4)}).told_apart is True
    same = row_of(made("a", SMALL), made("b", SMALL), None)
    assert same.ratio == Band(low=1, high=1)
    assert same.told_apart is False


def test_a_total_with_too_much_in_it_that_has_no_time_is_not_told() -> None:
    unknown = Event(Kind.OPERATION, "aten::sort.stable", operands=(tensor(10_000),), results=(tensor(10_000),))
    row = row_of(made("a", [*SMALL, unknown]), None, None)
    assert (row.span, row.bound, row.pays) == (None, None, ())
    assert row.not_predicted == {"aten::sort: it is several kernels": 1}
    share = f"{40_000 / (40_000 + 50 * 3_000):.0%}"
    assert row.failed == f"no time is predicted for {share} of the bytes that it moves; at most 10% may be so"


def test_a_little_without_a_time_is_named_beside_the_total() -> None:
    unknown = Event(Kind.OPERATION, "aten::sort.stable", operands=(tensor(10),), results=(tensor(10),))
    row = row_of(made("a", [*SMALL, unknown]), None, None)
    assert row.span
    assert row.not_predicted == {"aten::sort: it is several kernels": 1}
    assert 0 < row.not_predicted_share < 0.001


def test_what_asks_for_nothing_has_no_span() -> None:
    assert row_of(made("a", []), None, None).failed == "it asks nothing of the GPU"


def test_without_its_waits_the_host_runs_ahead() -> None:
    kernels, worlds = Kernels(BOARD), [LOW, HIGH]
    forward = stretches("", steps_of([mm(400), READ, mm(400), READ], kernels))
    spans = [simulate(forward, world).span for world in worlds]
    found = {pay.what: pay for pay in pays(forward, kernels, worlds, spans)}
    pay = found["without the 2 waits at tower.py:3"]
    left = [run(steps_of([mm(400), mm(400)], kernels), world).span for world in worlds]
    assert pay.events == 2
    assert pay.saves.low == pytest.approx((spans[0] - left[0]) * 1e-6)
    assert pay.saves.high == pytest.approx((spans[1] - left[1]) * 1e-6)
    assert next(iter(found)) == "without the 2 waits at tower.py:3"


def test_of_many_changes_those_of_the_most_weight_are_tried() -> None:
    kernels = Kernels(BOARD)
    light = [replace(add(), name=f"aten::light{number}") for number in range(TRIED)]
    forward = stretches("", steps_of([*light, replace(add(500_000_000), name="aten::heavy")], kernels))
    found = pays(forward, kernels, [LOW, HIGH], [simulate(forward, world).span for world in (LOW, HIGH)])
    assert len(found) == TRIED
    assert found[0].what == "without the one aten::heavy"


def test_what_is_taken_away_is_named_with_its_number() -> None:
    upload = Event(Kind.UPLOAD, "aten::_to_copy", bytes=8, line="a.py:1")
    forward = stretches("", steps_of([*SMALL, VIEW, VIEW, upload, Event(Kind.HOST, "aten::arange")], Kernels(BOARD)))
    changes = {change.what: len(left(change)) for change in changes_of(forward, Kernels(BOARD), HIGH)}
    assert changes == {
        "without the 50 aten::add": 4,
        "without the 2 views": 52,
        "without the one upload at a.py:1": 53,
        "without the one host operation": 53,
    }


def test_attention_calls_of_one_size_in_a_stage_become_one() -> None:
    kernels = Kernels(BOARD)
    events = [*(attend(stage="block[0].attn") for _ in range(16)), *(attend(stage="block[1].attn") for _ in range(16))]
    forward = stretches("", steps_of([*events, attend(length=128, stage="block[1].attn")], kernels))
    (change,) = [each for each in changes_of(forward, kernels, HIGH) if each.what.startswith("with ")]
    assert change.what == "with 32 attention calls as 2"
    assert [each.took for each in left(change)[:2]] == [kernels.took(attend(16))] * 2
    assert len(left(change)) == 3


def test_a_change_to_a_call_that_has_no_time_is_not_offered() -> None:
    """A call of 256 sequences has a time; one of 17 times as many has none, and would look as if it took none."""
    kernels = Kernels(BOARD)
    forward = stretches("", steps_of([attend(256)] * 17, kernels))
    assert kernels.took(attend(256)).why_not == ""
    assert kernels.took(attend(17 * 256)).why_not
    assert not [each for each in changes_of(forward, kernels, HIGH) if each.what.startswith("with ")]


def test_the_floor_of_a_foreign_tower_is_its_products_and_attention_in_one_call() -> None:
    events = [mm(200), mm(200), add(), *(attend(stage="a") for _ in range(4)), *(attend(stage="b") for _ in range(4))]
    found = own_floor(events)
    once = BOARD.product(200, 1000, 1000, "bfloat16").us, BOARD.attention(4, 16, 64, 80, "bfloat16").us
    assert found is not None
    assert found.us == pytest.approx(2 * sum(once))
    assert own_floor([mm(10)]) is None
    assert own_floor([add()]) is None


def test_products_are_in_the_floor_at_the_times_of_their_own_dtype() -> None:
    kernels = Kernels(board("h100"))
    left, right = (Operand(shape, (shape[1], 1), "float8_e4m3fn") for shape in ((16_384, 1280), (1280, 6840)))
    product = Event(Kind.OPERATION, "aten::_scaled_mm", operands=(left, right), results=(tensor(16_384, 6840),))
    events = [product] * 50
    floor = own_floor(events, kernels)
    assert floor is not None
    assert floor.us == pytest.approx(50 * kernels.board.product(16_384, 6840, 1280, "float8_e4m3fn").us)
    row = row_of(simulated("a", "a", "warm", [("whole", tuple(events))], kernels), None, floor)
    assert row.of_floor
    assert 0.9 < row.of_floor.low <= row.of_floor.high <= 1


def test_a_floor_leaves_out_products_without_a_time_and_there_is_none_without_that_of_attention() -> None:
    batched = Event(Kind.OPERATION, "aten::bmm", operands=(tensor(4, 200, 1000), tensor(4, 1000, 1000)))
    floor = own_floor([mm(200), batched])
    assert floor is not None
    assert floor.us == pytest.approx(BOARD.product(200, 1000, 1000, "bfloat16").us)
    q, k = tensor(1, 16, 64, 80), tensor(1, 16, 128, 80)
    assert own_floor([mm(200), replace(attend(), operands=(q, k, k))]) is None


def test_the_share_of_the_floor_is_taken_under_one_error() -> None:
    found = made("a", [mm(400)] * 200)
    floor = Took(1.0, 100.0, 200.0, By.PRODUCT)
    row = row_of(found, None, floor)
    ends = ((100e-6, LOW), (200e-6, HIGH))
    low, high = (share / (simulate(found.forward, world).span * 1e-6) for share, world in ends)
    assert row.of_floor
    assert row.floor
    assert row.floor.high == pytest.approx(200e-6)
    assert row.of_floor.low == pytest.approx(low, rel=0.05)
    assert row.of_floor.high == pytest.approx(high, rel=0.05)
