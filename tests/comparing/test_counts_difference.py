"""What differs between two counts, found by hand-made ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vlbench.comparing.counts_difference import difference
from vlbench.counting.sites import sites_of
from vlbench.counting_device.counter import Counter
from vlbench.record.counted import Forward

LINES = ["a.py:1: x.item()", "a.py:2: y.tolist()", "b.py:3: z.to(device)"]
OPERATIONS = ["aten::mm", "aten::add.Tensor", "aten::cat"]


def forward(lines: dict[str, int], operations: dict[str, int]) -> Forward:
    counter = Counter(0)
    for where, times in lines.items():
        for _ in range(times):
            counter.transfer("read-back", "aten::_local_scalar_dense", where, 8)
    for name, times in operations.items():
        for _ in range(times):
            counter.operation(name)
    counter.close("ghost", "sm_90", "2.13.0")
    return Forward(counts=counter.report, sites=sites_of(counter.report))


some_lines = st.dictionaries(st.sampled_from(LINES), st.integers(1, 5))
some_operations = st.dictionaries(st.sampled_from(OPERATIONS), st.integers(1, 5))
forwards = st.builds(forward, some_lines, some_operations)


@given(forwards, forwards)
def test_a_difference_says_all_that_differs_and_nothing_else(before: Forward, after: Forward) -> None:
    found = difference(("a", "b"), before, after)
    changed = {each.name: each.after - each.before for each in found.counters}
    assert 0 not in changed.values()
    a, b = before.counts.total, after.counts.total
    assert changed.get("host_syncs", 0) == b.host_syncs - a.host_syncs
    assert changed.get("device_operations", 0) == b.device_operations - a.device_operations
    assert sum(each.after - each.before for each in found.lines) == b.read_backs - a.read_backs
    assert sum(each.after - each.before for each in found.operations) == b.device_operations - a.device_operations
    assert (not found.counters and not found.lines and not found.operations) == (
        before.sites == after.sites and before.counts.operations == after.counts.operations
    )


def test_appeared_vanished_changed() -> None:
    before, after = forward({LINES[0]: 2, LINES[1]: 1}, {}), forward({LINES[0]: 5, LINES[2]: 1}, {})
    found = difference(("a", "b"), before, after)
    assert [(each.where, each.before, each.after) for each in found.lines] == [
        (LINES[0], 2, 5),
        (LINES[1], 1, 0),
        (LINES[2], 0, 1),
    ]


def test_two_versions_of_torch_do_not_compare() -> None:
    before = forward({}, {"aten::mm": 1})
    key = before.counts.key.model_copy(update={"torch_version": "2.14.0"})
    after = before.model_copy(update={"counts": before.counts.model_copy(update={"key": key})})
    assert difference(("a", "b"), before, after).incomparable == "torch_version 2.13.0 and 2.14.0"
