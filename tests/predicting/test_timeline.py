"""The simulation, held to timelines that are worked out by hand: see `hand_made` for the figures."""

from __future__ import annotations

import pytest

from tests.predicting.hand_made import BOARD, HIGH, HOST, LOW, READ, VIEW, add, attend, mm, step
from vlbench.predicting.host import Act
from vlbench.predicting.kernels import By, Kernels
from vlbench.predicting.timeline import outer, simulate, steps_of, worlds
from vlbench.record.sequence import Event, Kind


def test_a_kernel_begins_when_its_launch_has_arrived() -> None:
    found = simulate([step(us=4.0), step(us=4.0)], LOW)
    assert found.span == 2 * 10 + 6 + 4
    assert (found.busy, found.host) == (8, 20)
    assert found.idle == pytest.approx(1 - 8 / 30)


def test_a_kernel_begins_when_the_device_is_free() -> None:
    found = simulate([step(us=100.0), step(us=100.0), step(us=100.0)], LOW)
    assert found.span == 10 + 6 + 300


def test_a_wait_brings_the_host_to_the_end_of_the_queue() -> None:
    found = simulate([step(us=100.0), step(us=2.0, waits=True), step(us=4.0)], LOW)
    waited = 10 + 6 + 102 + 7
    assert found.span == waited + 10 + 6 + 4
    assert found.host == 30


def test_the_host_may_end_last() -> None:
    assert simulate([step(us=1.0), step(Act.HOST), *[step(Act.VIEW)] * 20], LOW).span == 10 + 3 + 20


def test_the_error_of_a_table_is_the_same_for_all_of_it() -> None:
    assert simulate([step(us=100.0)] * 3, HIGH).busy == 600


def test_stages_add_up_to_the_span() -> None:
    steps = [step(us=9.0, stage="a"), step(us=40.0, stage="b"), step(waits=True, stage="a"), step(Act.VIEW)]
    found = simulate(steps, LOW)
    assert list(found.stages) == ["a", "b", ""]
    assert sum(stage.span for stage in found.stages.values()) == pytest.approx(found.span)
    assert sum(stage.busy for stage in found.stages.values()) == found.busy == 49


def test_what_a_host_does_for_each_kind_of_event() -> None:
    upload = {"kind": Kind.UPLOAD, "bytes": 10_000}
    events = {
        add(): (Act.LAUNCH,),
        attend(): (Act.ATTENTION,),
        attend(new_plan=True): (Act.PLAN, Act.ATTENTION),
        VIEW: (Act.VIEW,),
        Event(Kind.VIEW, "aten::empty.memory_format"): (Act.ALLOCATION,),
        Event(Kind.ALLOCATION, bytes=512): (),
        Event(Kind.HOST, "aten::arange"): (Act.HOST,),
        READ: (Act.LAUNCH,),
        Event(Kind.WAIT, "torch.cuda.synchronize", blocking=True): (Act.LAUNCH,),
        Event(**upload, pinned=True): (Act.LAUNCH, Act.PINNED),
        Event(**upload, blocking=True): (Act.LAUNCH, Act.PAGEABLE),
    }
    steps = steps_of(events, Kernels(BOARD))
    assert [each.acts for each in steps] == list(events.values())
    assert [each.event.kind for each in steps if each.waits] == [Kind.READ_BACK, Kind.WAIT, Kind.UPLOAD]
    assert [each.event.kind for each in steps if each.took is None] == [
        *(Kind.VIEW, Kind.VIEW, Kind.ALLOCATION, Kind.HOST, Kind.WAIT)
    ]


def test_every_host_with_every_error() -> None:
    assert len(worlds([HOST])) == 2 ** len(By)
    assert [set(world.error.values()) for world in outer([HOST])] == [{"low"}, {"high"}]


def test_slices_of_a_timeline() -> None:
    found = simulate([step(us=4.0), step(Act.VIEW), step(us=2.0, waits=True)], LOW, draw=True)
    assert found.slices == [
        (False, 0, 10, 0),
        (True, 16, 20, 0),
        (False, 10, 11, 1),
        (False, 11, 21, 2),
        (True, 27, 29, 2),
        (False, 21, 36, 2),
    ]


def test_a_sequence_of_a_product_and_its_read_back() -> None:
    steps = steps_of([mm(200), READ], Kernels(BOARD))
    product = BOARD.product(200, 1000, 1000, "bfloat16")
    copy = BOARD.copied(8)
    assert product.us == pytest.approx(100)
    assert simulate(steps, HIGH).span == pytest.approx(max(10 + 6 + product.high, 26) + copy.high + 7)
