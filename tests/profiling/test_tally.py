from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import given, strategies as st

from tests.profiling.test_clock import Node, trees
from vlbench.implementations.stage import listen, stage
from vlbench.profiling.tally import Charge, Tally, typical, without_block


class Meter:
    """Something that only grows, and by whole numbers, so that sums are exact."""

    def __init__(self) -> None:
        self.value = 0

    def pass_through(self, node: Node) -> None:
        with stage(node.name):
            for part in node.parts:
                if isinstance(part, Node):
                    self.pass_through(part)
                else:
                    self.value += part


def size(node: Node) -> int:
    return sum(size(part) if isinstance(part, Node) else part for part in node.parts)


def total(nodes: list[Node], name: str) -> int:
    """What lies in the outermost stages of this name."""
    found = 0
    for node in nodes:
        inner = [part for part in node.parts if isinstance(part, Node)]
        found += size(node) if without_block(node.name) == name else total(inner, name)
    return found


def names_in(node: Node) -> Counter[str]:
    inner = (names_in(part) for part in node.parts if isinstance(part, Node))
    return sum(inner, Counter([without_block(node.name)]))


@given(st.lists(trees, max_size=3))
def test_visits_and_totals_are_those_of_the_tree(forest: list[Node]) -> None:
    meter = Meter()
    tally = Tally(lambda: meter.value)
    with listen(tally):
        for node in forest:
            meter.value += 1000  # nobody's
            meter.pass_through(node)
    charges = tally.charges(lambda start, end: end - start)
    visits = sum((names_in(node) for node in forest), Counter[str]())
    assert {name: charge.visits for name, charge in charges.items()} == visits
    assert {name: charge.total for name, charge in charges.items()} == {name: total(forest, name) for name in visits}
    assert sum(charge.own for charge in charges.values()) == sum(map(size, forest))


def test_blocks_are_told_apart_on_request() -> None:
    now = count()
    tally = Tally(lambda: next(now))
    with listen(tally):
        for block in range(2):
            with stage(f"block[{block}].mlp"):
                pass
    assert tally.charges(lambda a, b: b - a) == {"mlp": Charge(2, 2, 2)}
    assert tally.charges(lambda a, b: b - a, name_of=str) == dict.fromkeys(
        ("block[0].mlp", "block[1].mlp"), Charge(1, 1, 1)
    )


def test_a_stage_that_is_left_by_an_exception_is_left() -> None:
    now = count()
    tally = Tally(lambda: next(now))
    with pytest.raises(ZeroDivisionError), listen(tally), stage("a"), stage("b"):
        raise ZeroDivisionError
    assert tally.charges(lambda a, b: b - a) == {"a": Charge(1, 2, 3), "b": Charge(1, 1, 1)}


def test_the_typical_run_is_the_median_of_each_stage() -> None:
    runs = [
        {"a": Charge(1, 1.0, 5.0)},
        {"a": Charge(1, 9.0, 6.0), "b": Charge(2, 3.0, 3.0)},
        {"a": Charge(1, 2.0, 9.0)},
    ]
    assert typical(runs) == {"a": Charge(1, 2.0, 6.0), "b": Charge(0, 0.0, 0.0)}
    assert typical([]) == {}
