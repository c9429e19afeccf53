"""What a marker may say; nothing is counted here."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.pytest_plugin.conftest import Run
from vlbench.comparing.counted_moves import COUNTERS
from vlbench.gating.marks import ALIASES, ARGUMENTS, Mark, marks_of

TOWER = 'tower="a:b"'
WRONG = {
    f"{TOWER}, max_sync=0": "there is no argument max_sync; did you mean max_syncs?",
    f"{TOWER}, zzz=0": "there is no argument zzz; there are tower, scenario, *, max_allocated_bytes",
    '"a:b", max_syncs=0': "'a:b' has no name; write tower='a:b'",
    "max_syncs=0": 'it names no tower; add tower="package.module:factory", or a baseline',
    TOWER: "it sets no limit; add max_syncs=0 or another, a baseline, or ask for vlbench_counts",
    f"{TOWER}, max_syncs=-1": "max_syncs=-1 is not a whole number from 0 up; give one",
    f"{TOWER}, max_syncs=True": "max_syncs=True is not a whole number from 0 up; give one",
    f"{TOWER}, max_syncs=0, max_host_syncs=0": "max_host_syncs and another argument limit host_syncs; give one of them",
    f"{TOWER}, max_syncs=0, cold=1": "cold=1 is not True or False; give one",
    f"{TOWER}, max_syncs=0, dtype='half'": "dtype='half' is not one of float32, *, fp16; give one",
    f"{TOWER}, max_syncs=0, as_='sm_99'": "as_='sm_99' is not one of sm_75, *, sm_100; give one",
    f"{TOWER}, max_syncs=0, cudnn=9.19": 'cudnn=9.19 is not a cuDNN 9 such as "9.15.1"; give one',
    f"{TOWER}, max_syncs=0, cudnn='8.9'": "cudnn='8.9' is not a cuDNN 9 such as \"9.15.1\"; give one",
    "tower=None, max_syncs=0": "tower=None is not a text; give one",
    f"{TOWER}, max_syncs=0, grid=[]": "grid=[[][]] is not a grid such as *, or a list of them; give one",
    f'{TOWER}, max_syncs=0, grid="1x4x6", scenario="s"': "a grid takes the place of a scenario; give one of them",
    'baseline="x.json", max_syncs=0': "limits hold a tower, and a baseline has its own; *",
}
"""Arguments of a marker, and the sentence that is said of them."""


def test_nonsense_is_a_sentence_each_when_tests_are_collected(pytester: pytest.Pytester, run: Run) -> None:
    tests = (f"@pytest.mark.vlbench({said})\ndef test_{number}(): pass\n" for number, said in enumerate(WRONG))
    pytester.makepyfile(test_wrong="\n".join(["import pytest", *tests]))
    result = run("--strict-markers")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    sentences = (f"test_wrong.py::test_{n}: @pytest.mark.vlbench: {said}" for n, said in enumerate(WRONG.values()))
    result.stdout.fnmatch_lines(["*ERROR collecting test_wrong.py*", *sentences, "*1 error*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_marker_that_a_fixture_adds_is_checked_when_it_is_used(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(autouse=True)
        def marked(request):
            request.node.add_marker(pytest.mark.vlbench(max_sync=0))

        def test_it():
            raise AssertionError("the body must not run")
        """
    )
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*::test_it: @pytest.mark.vlbench: there is no argument max_sync; did you mean *"])


def test_counts_are_of_a_marker(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_it(vlbench_counts): pass")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*::test_it: vlbench_counts shows what a marker counts; add one with tower=..."])


class Bare(pytest.Item):
    """A test that can be marked, and nothing else."""

    def runtest(self) -> None:
        raise AssertionError("it is never run")


LIMITS = st.dictionaries(st.sampled_from(sorted(COUNTERS)), st.integers(0, 10**9), min_size=1)
PLACE = st.sampled_from([{}, {"scenario": "single-image"}, {"grid": "1x4x6"}, {"grid": ["1x4x6", "2x8x4"]}])
SAID = st.tuples(
    LIMITS, PLACE, st.sampled_from([{}, {"dtype": "float16"}, {"as_": "sm_80"}, {"cudnn": "9.15"}, {"cold": True}])
)


def arguments(said: tuple[dict[str, int], dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    limits, place, others = said
    return {f"max_{name}": most for name, most in limits.items()} | place | others


def marks(request: pytest.FixtureRequest, *markers: dict[str, Any]) -> list[Mark]:
    """Of a test with these markers, the nearest first."""
    item: Bare = Bare.from_parent(request.session, name="marked")
    for each in markers:
        item.add_marker(pytest.mark.vlbench(**each))
    return marks_of(item)


shared_request = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@shared_request
@given(own=SAID, common=SAID)
def test_the_nearer_marker_wins(request: pytest.FixtureRequest, own: Any, common: Any) -> None:
    (mark,) = marks(request, arguments(own) | {"tower": "a:b"}, arguments(common))
    (swapped,) = marks(request, arguments(common), arguments(own) | {"tower": "a:b"})
    assert mark == swapped, "what names no tower holds for the others, wherever it stands"
    limits, place, others = own
    assert mark.limits == common[0] | limits
    place = place or common[1]
    assert mark.scenario == place.get("scenario")
    grid = place.get("grid", [])
    assert list(mark.grids) == ([grid] if isinstance(grid, str) else grid)
    rest = common[2] | others
    assert (mark.dtype, mark.profile, mark.cold) == (rest.get("dtype"), rest.get("as_"), rest.get("cold", False))
    assert mark.cudnn == rest.get("cudnn")


@shared_request
@given(towers=st.lists(st.sampled_from(["a:b", "a:c", "qwen2.5-vl-7b"]), min_size=1, max_size=4))
def test_each_marker_with_a_tower_is_a_cell(request: pytest.FixtureRequest, towers: list[str]) -> None:
    found = marks(request, *({"tower": tower, "max_syncs": number} for number, tower in enumerate(towers)))
    assert [(mark.tower, mark.limits) for mark in found] == [
        (tower, {"host_syncs": number}) for number, tower in enumerate(towers)
    ]


@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name.startswith("max_")])
def test_every_counter_can_be_limited(request: pytest.FixtureRequest, name: str) -> None:
    counter = name.removeprefix("max_")
    (mark,) = marks(request, {"tower": "a:b", name: 3})
    assert mark.limits == {ALIASES.get(counter, counter): 3}
    assert mark.limits.keys() <= COUNTERS.keys()
