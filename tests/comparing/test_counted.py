"""Exact counts against stored ones: what is called, what is not, and what the row says."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tests.record.baselines import KEY, cell, forward
from vlbench.comparing.counted import judge_cells
from vlbench.comparing.counted_moves import COUNTERS, Shift
from vlbench.export.wording import asides
from vlbench.judging.judged import Judged
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import CountedCell, CountedForward
from vlbench.record.site import Site, Where

REGRESSED, IMPROVED, SAME, MISSING = Verdict.REGRESSED, Verdict.IMPROVED, Verdict.SAME, Verdict.MISSING

NAMES = st.sampled_from(sorted(COUNTERS))
STAGES = st.dictionaries(
    st.sampled_from(["attention", "mlp", "rope", ""]), st.dictionaries(NAMES, st.integers(1, 99), max_size=3)
)
LINES = st.lists(
    st.tuples(
        st.sampled_from(["read-back", "upload", "implicit upload", "synchronize"]),
        st.sampled_from(["a.py:3: x.item()", "a.py:9: x.item()", "b.py:3: y.cpu()", "(no Python line)"]),
        st.integers(1, 9),
    ),
    max_size=4,
)


@st.composite
def forwards(draw: Any) -> CountedForward:
    counters = draw(st.fixed_dictionaries({name: st.integers(0, 10**6) for name in COUNTERS}))
    return forward(*draw(LINES), stages=draw(STAGES), **counters)  # type: ignore[no-any-return]


CELLS = st.builds(cell, warm=forwards(), cold=forwards())


def raised(one: CountedCell, name: str, by: int, which: str) -> CountedCell:
    old: CountedForward = getattr(one, which)
    new = old.model_copy(update={"counters": old.counters | {name: old.counters[name] + by}})
    return one.model_copy(update={which: new})


@given(CELLS)
def test_equal_counts_never_move(one: CountedCell) -> None:
    row = judge_cells(one, one)
    assert (row.verdict, row.moves) == (SAME, ())


@given(CELLS, NAMES, st.integers(1, 10**6), st.sampled_from(["cold", "warm"]))
def test_a_single_rise_is_called_and_its_return_is_an_improvement(
    one: CountedCell, name: str, by: int, which: str
) -> None:
    more = raised(one, name, by, which)
    worse, better = judge_cells(one, more), judge_cells(more, one)
    assert (worse.verdict, better.verdict) == (REGRESSED, IMPROVED)
    assert name.replace("_", " ") in worse.reason
    move, back = worse.moves[0], better.moves[0]
    assert (move.before, move.after) == (back.after, back.before)
    assert move.name == name + (" (first forward)" if which == "cold" else "")


@settings(max_examples=40)
@given(CELLS, CELLS)
def test_both_directions_tell_the_same_story(one: CountedCell, other: CountedCell) -> None:
    there, back = judge_cells(one, other), judge_cells(other, one)
    assert (there.verdict is SAME) == (back.verdict is SAME)
    assert {there.verdict, back.verdict} <= {SAME, REGRESSED, IMPROVED}
    if IMPROVED in (there.verdict, back.verdict):  # everything fell one way, so everything rose the other
        assert {there.verdict, back.verdict} == {IMPROVED, REGRESSED}
    assert {(m.name, m.before, m.after) for m in there.moves} == {(m.name, m.after, m.before) for m in back.moves}


@given(CELLS, NAMES, st.integers(1, 10**6), st.floats(0, 0.99))
def test_a_rise_is_called_exactly_where_it_exceeds_its_band(one: CountedCell, name: str, by: int, band: float) -> None:
    stored = one.model_copy(update={"bands": {name: band}})
    row = judge_cells(stored, raised(one, name, by, "warm"))
    assert (row.verdict is REGRESSED) == (by > band * one.warm.counters[name])
    assert row.moves, "what moved inside its band is shown"


@settings(max_examples=40)
@given(CELLS, CELLS, st.randoms(use_true_random=False))
def test_the_order_of_stages_and_lines_means_nothing(one: CountedCell, other: CountedCell, draw: random.Random) -> None:
    def shuffled(old: CountedForward) -> CountedForward:
        stages, lines = list(old.stages.items()), list(old.sites)
        draw.shuffle(stages)
        draw.shuffle(lines)
        return old.model_copy(update={"stages": dict(stages), "sites": tuple(lines)})

    def mixed(each: CountedCell) -> CountedCell:
        return each.model_copy(update={"cold": shuffled(each.cold), "warm": shuffled(each.warm)})

    first, second = judge_cells(one, other), judge_cells(mixed(one), mixed(other))
    assert first.verdict is second.verdict

    def told(row: Any) -> set[tuple[Any, ...]]:
        return {(move.kind, move.name, move.file, move.before, move.after, move.stage) for move in row.moves}

    assert told(first) == told(second)


def test_a_rise_names_its_stage_its_line_and_what_removes_it() -> None:
    item = "read-back", "towers.py:31: n = int(lengths[i])"
    before = cell(forward(host_syncs=1, stages={"attention": {"host_syncs": 1}}, device_operations=40))
    after = cell(
        forward(
            (*item, 28),
            host_syncs=29,
            read_backs=28,
            device_operations=38,
            stages={"attention": {"host_syncs": 28, "read_backs": 28}, "rope": {"host_syncs": 1}},
        )
    )
    row = judge_cells(before, after, {(item[0], Where.parse(item[1])): "keep lengths on the host"})
    assert row.verdict is REGRESSED
    assert row.reason == (
        "host syncs rose from 1 to 29 in attention, at towers.py:31; so did read backs; "
        "device operations fell from 40 to 38"
    )
    assert [(move.name, move.stage) for move in row.moves if move.kind == "counter"] == [
        ("host_syncs", "attention"),
        ("read_backs", "attention"),
        ("device_operations", ""),
    ]
    (line,) = [move for move in row.moves if move.kind == "line"]
    assert (line.file, line.line, line.before, line.after) == ("towers.py", 31, 0, 28)
    assert (line.name, line.advice) == ("read-back: n = int(lengths[i])", "keep lengths on the host")


def test_a_rise_of_several_lines_names_them_with_their_shares() -> None:
    def counted(*lines: tuple[str, int]) -> str:
        sites = [("read-back", f"{where}: x.item()  # {where}", times) for where, times in lines]
        return judge_cells(cell(), cell(forward(*sites, host_syncs=sum(times for _, times in lines)))).reason

    assert counted(("a.py:35", 3), ("a.py:14", 6)) == "host syncs rose from 0 to 9, at a.py:14 (6) and :35 (3)"
    assert counted(("a.py:1", 9), ("b.py:2", 8), ("b.py:3", 7), ("c.py:4", 6), ("c.py:5", 1)) == (
        "host syncs rose from 0 to 31, at a.py:1 (9), b.py:2 (8), :3 (7) and 2 more lines"
    )


def test_an_edit_above_a_line_does_not_show() -> None:
    before = cell(forward(("read-back", "a.py:3: x.item()", 4), host_syncs=4))
    after = cell(forward(("read-back", "a.py:8: x.item()", 4), host_syncs=5))
    assert [move.kind for move in judge_cells(before, after).moves] == ["counter"]


def test_what_only_the_first_forward_does_is_said_to_be_so() -> None:
    sync = ("read-back", "a.py:3: x.item()", 2)
    row = judge_cells(cell(), cell(forward(), forward(sync, host_syncs=2)))
    assert row.verdict is REGRESSED
    assert row.reason.startswith("host syncs of the first forward rose from 0 to 2, at a.py:3")
    assert [move.name for move in row.moves] == ["host_syncs (first forward)", "read-back (first forward): x.item()"]


@pytest.mark.parametrize(
    ("field", "before", "after", "verdict"),
    [
        ("attention_backend", "flash", "flash+math", REGRESSED),
        ("attention_backend", "efficient", "flash", IMPROVED),
        ("attention_backend", "flash", "cudnn", SAME),
        ("attention_backend", "cudnn", "cudnn+math", REGRESSED),
        ("attention_backend", "none", "flash", SAME),
        ("dtype", "bfloat16", "bfloat16+float32", REGRESSED),
        ("dtype", "bfloat16", "float16", SAME),
    ],
)
def test_equal_counts_of_dearer_operations_are_a_regression(
    field: str, before: str, after: str, verdict: Verdict
) -> None:
    cells = [cell(key=KEY.model_copy(update={field: name})) for name in (before, after)]
    row = judge_cells(*cells)
    assert row.verdict is verdict
    assert verdict is SAME or f"in {after.replace('+', ' and ')}, where it was {before}" in row.reason


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (cell(key=KEY.model_copy(update={"torch_version": "2.14.0"})), "with torch 2.13.0, and this is torch 2.14.0"),
        (cell(key=KEY.model_copy(update={"mode": "shadow"})), "with mode ghost, and this is mode shadow"),
        (cell(key=KEY.model_copy(update={"profile": "sm_80"})), "with profile sm_90, and this is profile sm_80"),
        (cell(grids=((1, 4, 4),)), "on different grids"),
        (cell(forward(frobs=1)), "the counter frobs is known to one side alone"),
    ],
)
def test_counts_that_do_not_compare_are_missing(other: CountedCell, words: str) -> None:
    row = judge_cells(cell(), other)
    assert row.verdict is MISSING
    assert words in row.reason
    assert row.moves == ()


CUDNN = KEY.model_copy(update={"attention_backend": "cudnn", "cudnn": "9.19"})


@pytest.mark.parametrize("other", ["9.20", "9.19, deprioritized"])
def test_another_cudnn_does_not_compare_whatever_it_counts(other: str) -> None:
    before, after = cell(key=CUDNN), cell(forward(host_syncs=9), key=CUDNN.model_copy(update={"cudnn": other}))
    row = judge_cells(before, after)
    assert (row.verdict, row.moves) == (MISSING, ())
    assert row.reason == f"it was counted with cuDNN 9.19, and this is cuDNN {other}: such counts do not compare"


def test_a_file_from_before_cudnn_s_attention_compares_where_there_is_none() -> None:
    """Its rule was flash, efficient, math, in this order: so it is today's where cuDNN does not attend."""
    flash = KEY.model_copy(update={"cudnn": "9.19"})
    assert judge_cells(cell(key=KEY), cell(key=flash)).verdict is SAME
    assert judge_cells(cell(key=KEY), cell(forward(host_syncs=1), key=flash)).verdict is REGRESSED
    for sides in ((cell(key=KEY), cell(key=CUDNN)), (cell(key=CUDNN), cell(key=KEY))):
        row = judge_cells(*sides)
        assert row.verdict is MISSING
        assert "the other is cuDNN 9.19; `vlbench baseline rebase FILE` counts it again" in row.reason


def test_versions_of_cudnn_compare_where_it_does_not_attend() -> None:
    one, other = (KEY.model_copy(update={"cudnn": version}) for version in ("9.19", "9.20"))
    assert judge_cells(cell(key=one), cell(key=other)).verdict is SAME


def test_plans_that_were_taken_out_of_a_file_are_missed() -> None:
    whole = forward()
    without = whole.model_copy(update={"counters": {n: c for n, c in whole.counters.items() if n != "attention_plans"}})
    row = judge_cells(cell(without, without, key=CUDNN), cell(key=CUDNN))
    assert (row.verdict, row.reason) == (MISSING, "the counter attention_plans is known to one side alone")


def test_a_plan_more_is_a_regression_at_its_line() -> None:
    plan = ("attention plan", "a.py:7: F.scaled_dot_product_attention(q, k, v)", 2)
    row = judge_cells(cell(key=CUDNN), cell(forward(), forward(plan, attention_plans=2), key=CUDNN))
    assert row.verdict is REGRESSED
    assert row.reason == "attention plans of the first forward rose from 0 to 2, at a.py:7"


def helped(*calls: tuple[str, int], allowed: str = "") -> CountedForward:
    """One helper that reads back, by its callers."""
    return CountedForward(
        counters=dict.fromkeys(COUNTERS, 0) | {"allowed_syncs" if allowed else "host_syncs": sum(n for _, n in calls)},
        stages={},
        sites=tuple(
            Site(
                event="read-back",
                where=Where.parse("help.py:2: return t.tolist()"),
                callers=(Where.parse(caller),) if caller else (),
                allowed=allowed,
                times=times,
            )
            for caller, times in calls
        ),
    )


ONCE = ("tower.py:8: first = lengths(cu)", 1)
LOOP = ("tower.py:11: each = lengths(cu)", 32)


def test_a_call_of_a_shared_helper_is_named_by_the_callers_line() -> None:
    row = judge_cells(cell(helped(ONCE)), cell(helped(ONCE, LOOP)))
    assert row.reason == "host syncs rose from 1 to 33, at tower.py:11"
    (line,) = (move for move in row.moves if move.kind == "line")
    assert line.name == "read-back: each = lengths(cu), through help.py:2: return t.tolist()"
    assert (line.before, line.after, line.file, line.line) == (0, 32, "tower.py", 11)


def test_callers_that_move_stay_the_same_lines() -> None:
    moved = ("tower.py:40: first = lengths(cu)", 1)
    row = judge_cells(cell(helped(ONCE, LOOP)), cell(helped(moved, ("tower.py:50: each = lengths(cu)", 33))))
    assert [(move.before, move.after, move.line) for move in row.moves if move.kind == "line"] == [(32, 33, 50)]


def test_a_file_without_callers_is_told_by_the_helpers_line() -> None:
    row = judge_cells(cell(helped(("", 1))), cell(helped(ONCE, LOOP)))
    assert [(move.name, move.before, move.after) for move in row.moves if move.kind == "line"] == [
        ("read-back: return t.tolist()", 1, 33)
    ]


def test_an_added_mark_has_to_be_accepted() -> None:
    row = judge_cells(cell(helped(ONCE)), cell(helped(ONCE, allowed="it is meant")))
    assert row.verdict is REGRESSED
    assert row.reason == "allowed syncs rose from 0 to 1, at help.py:2; host syncs fell from 1 to 0"
    assert {move.name for move in row.moves if move.kind == "line"} == {
        "allowed read-back (it is meant): return t.tolist()",
        "read-back: return t.tolist()",
    }


def older(one: CountedForward) -> CountedForward:
    return one.model_copy(update={"counters": {k: n for k, n in one.counters.items() if k != "allowed_syncs"}})


def test_a_file_older_than_the_marks_counts_allowed_waits_as_it_did() -> None:
    before = cell(older(helped(ONCE)))
    row = judge_cells(before, cell(helped(ONCE, allowed="it is meant")))
    assert row.verdict is SAME
    assert row.reason.endswith("new and not judged: allowed syncs 1")
    assert row.new == ("allowed_syncs",)
    judged = Judged(command="gate", before="a", after="b", rows=(row, row))
    assert asides(judged) == ["New counters, which were not judged: allowed syncs (in 2 cells)"]
    assert judge_cells(before, cell(helped(ONCE, LOOP, allowed="it is meant"))).verdict is REGRESSED


def test_a_counter_that_the_run_lacks_is_missing() -> None:
    row = judge_cells(cell(helped(ONCE)), cell(older(helped(ONCE))))
    assert (row.verdict, row.reason) == (MISSING, "the counter allowed_syncs is known to one side alone")


def asking(first: int, second: int, **counters: int) -> CountedCell:
    """A cell that asks for cos that often in its two forwards."""
    cold, warm = (
        forward(device_operations=n, **counters).model_copy(update={"operations": {"aten::cos": n}})
        for n in (first, second)
    )
    return cell(warm=warm, cold=cold)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (asking(1, 0), asking(1, 1), "only the first forward made it"),
        (asking(1, 0), asking(4, 4), "if layers or items make the same"),
        (asking(0, 0), asking(1, 1), "if it follows from grids alone"),
        (asking(4, 4), asking(1, 0), ""),
        (asking(0, 0), asking(1, 0), ""),
        (asking(0, 0), asking(4, 4, attention_calls=2), ""),
    ],
)
def test_operations_that_rise_have_advice_by_when_and_how_often(
    before: CountedCell, after: CountedCell, words: str
) -> None:
    moves = judge_cells(before, after).moves
    advice = [move.advice for move in moves if move.kind == "operation"]
    assert advice[0].startswith(words)
    assert any(advice) is bool(words)


def test_more_attention_calls_are_advised_by_the_counter() -> None:
    moves = judge_cells(asking(0, 0), asking(4, 4, attention_calls=2)).moves
    (advice,) = (move.advice for move in moves if move.advice)
    assert advice.startswith("drop empty segments")


@pytest.mark.parametrize(("after", "direction"), [(125, 0), (126, 1), (75, 0), (74, -1)])
def test_a_change_of_exactly_the_band_is_inside_it(after: int, direction: int) -> None:
    assert Shift("host_syncs", 100, after, first=False, stage="").direction(0.25) == direction


def test_code_for_another_platform_does_not_compare() -> None:
    gpu, other = cell(), cell(key=KEY.model_copy(update={"platform": "CPU platform"}))
    assert other.name == f"{gpu.name} CPU platform"
    for before, after, told in ((gpu, other, "GPU, and .* CPU platform"), (other, gpu, "CPU platform, and .* GPU")):
        row = judge_cells(before, after)
        assert row.verdict is MISSING
        assert re.search(f"counted in its code for a {told}: such counts do not compare", row.reason)
    assert judge_cells(other, other).verdict is SAME
