"""The simulation, held to timelines that are worked out by hand: see `hand_made` for the figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.predicting.hand_made import BOARD, HIGH, HOST, LOW, READ, VIEW, add, attend, mm, run, step
from vlbench.predicting.host import Act
from vlbench.predicting.kernels import By, Kernels
from vlbench.predicting.timeline import (
    Stretch,
    drawn,
    forward_of,
    outer,
    replayed,
    simulate,
    steps_of,
    stretches,
    worlds,
)
from vlbench.record.sequence import REPLAY, Event, Kind


def test_a_kernel_begins_when_its_launch_has_arrived() -> None:
    found = run([step(us=4.0), step(us=4.0)], LOW)
    assert found.span == 2 * 10 + 6 + 4
    assert (found.busy, found.host) == (8, 20)
    assert found.idle == pytest.approx(1 - 8 / 30)


def test_a_kernel_begins_when_the_device_is_free() -> None:
    found = run([step(us=100.0), step(us=100.0), step(us=100.0)], LOW)
    assert found.span == 10 + 6 + 300


def test_a_wait_brings_the_host_to_the_end_of_the_queue() -> None:
    found = run([step(us=100.0), step(us=2.0, waits=True), step(us=4.0)], LOW)
    waited = 10 + 6 + 102 + 7
    assert found.span == waited + 10 + 6 + 4
    assert found.host == 30


def test_a_wait_with_nothing_queued_takes_what_its_call_takes() -> None:
    """As `item()` does on an idle GPU; a copy that is longer than the call is waited for."""
    assert run([step(Act.WAIT, us=2.0, waits=True)] * 3, LOW).span == 3 * 12
    assert run([step(Act.WAIT, waits=True)] * 3, LOW).span == 3 * 12
    assert run([step(Act.WAIT, us=50.0, waits=True)] * 3, LOW).span == 3 * (50 + 7)


def test_the_host_may_end_last() -> None:
    assert run([step(us=1.0), step(Act.HOST), *[step(Act.VIEW)] * 20], LOW).span == 10 + 3 + 20


def test_the_error_of_a_table_is_the_same_for_all_of_it() -> None:
    assert run([step(us=100.0)] * 3, HIGH).busy == 600


def test_stages_add_up_to_the_span() -> None:
    steps = [step(us=9.0, stage="a"), step(us=40.0, stage="b"), step(waits=True, stage="a"), step(Act.VIEW)]
    found = run(steps, LOW)
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
        READ: (Act.WAIT,),
        Event(Kind.READ_BACK, "aten::copy_", bytes=8): (Act.LAUNCH,),
        Event(Kind.WAIT, "torch.cuda.synchronize", blocking=True): (Act.WAIT,),
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


def test_a_replay_is_one_launch_and_its_kernels_back_to_back() -> None:
    inside = [replace(each, replayed=True) for each in (mm(200), VIEW, Event(Kind.HOST, "aten::arange"), mm(200))]
    events = [add(), *inside, add()]
    steps = steps_of(events, Kernels(BOARD))
    assert [each.acts for each in steps] == [(Act.LAUNCH,), (Act.LAUNCH,), (), (), (), (), (Act.LAUNCH,)]
    small, product = Kernels(BOARD).took(add()), BOARD.product(200, 1000, 1000, "bfloat16")
    found = run(steps, LOW)
    assert found.host == 30
    assert found.span == pytest.approx(20 + 6 + 2 * product.low + small.low)
    assert [index for on_device, _, _, index in drawn(steps, LOW) if not on_device] == [0, 1, 6]


def test_a_replay_that_goes_on_in_the_next_part_is_launched_once() -> None:
    block = tuple(replace(each, replayed=True) for each in (mm(200), add()))
    chunks = [("before", (add(),)), ("first", block), ("later", block), ("later", block), ("after", (add(),))]
    forward = forward_of(chunks, Kernels(BOARD))
    names = [step.event.operation for stretch in forward for step in stretch.steps]
    assert names.count(REPLAY) == 1
    assert replayed(forward) == (6, "")
    assert replayed(forward_of([("again", block), ("out", (add(),)), ("again", block)], Kernels(BOARD))) == (4, "")


def test_slices_of_a_timeline() -> None:
    assert drawn([step(us=4.0), step(Act.VIEW), step(us=2.0, waits=True)], LOW) == [
        (False, 0, 10, 0),
        (True, 16, 20, 0),
        (False, 10, 11, 1),
        (False, 11, 29, 2),
        (True, 20, 22, 2),
    ]


def test_a_sequence_of_a_product_and_its_read_back() -> None:
    steps = steps_of([mm(200), READ], Kernels(BOARD))
    product = BOARD.product(200, 1000, 1000, "bfloat16")
    copy = BOARD.copied(8)
    assert product.us == pytest.approx(100)
    assert run(steps, HIGH).span == pytest.approx(10 + 6 + product.high + copy.high + 7)


def test_a_stretch_that_comes_again_takes_what_it_takes_in_its_place() -> None:
    """Behind a queue, behind a host that is late, and around a wait: as its steps would, one after the other."""
    kernels = Kernels(BOARD)
    parts = [[mm(400), add(), VIEW], [VIEW] * 30, [add(), READ, add()], [VIEW, mm(200), attend()]]
    cut = [stretches(number, steps_of(part, kernels)) for number, part in enumerate(parts)]
    order = [0, 0, 3, 1, 2, 0, 3, 3, 2, 1, 1, 0]
    forward: list[Stretch] = [each for number in order for each in cut[number]]
    steps = [step for stretch in forward for step in stretch.steps]
    for world in (LOW, HIGH):
        whole = drawn(steps, world)
        assert simulate(forward, world).span == pytest.approx(max(end for _, _, end, _ in whole))
        assert simulate(forward, world).span == pytest.approx(run(steps, world).span)
        assert simulate(forward, world).busy == pytest.approx(sum(end - start for on, start, end, _ in whole if on))
