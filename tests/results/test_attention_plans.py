"""Plans at the size of 7B, call by call: on one small image here, and on several photos where slow tests run."""

from __future__ import annotations

import pytest

from results.attention_plans import plans_built, states_of
from results.count_flags import MODEL, Flags
from vlbench.counting_device import CountingDevice
from vlbench.implementations.optimized import preset_flags

ON_A_HOPPER = {
    "baseline": (12, 0, 9, 10, 0, 11, 11, 8, 10, 9),
    "exact": (12, 0, 2, 2, 0, 1, 1, 3, 5, 3),
    "best": (12, 0, 6, 7, 0, 3, 3, 6, 9, 8),
}
"""Several photos: the first call, the same grids again, and the calls of churn."""


def flags_of(name: str) -> Flags:
    return None if name == "baseline" else preset_flags(name, MODEL, "cuda")[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_A_HOPPER)
def test_the_reference_tower_builds_plans_for_all_windows_of_a_new_grid(name: str) -> None:
    """Its layout puts the number of patches into a stride, `best` that of equal windows into the batch."""
    with CountingDevice("ghost", "sm_90") as device:
        assert tuple(plans_built(device, flags_of(name), list(states_of("multi-image")))) == ON_A_HOPPER[name]


def test_none_are_built_where_cudnn_is_not_preferred_and_each_once_where_it_is() -> None:
    grids = ((1, 10, 10),)  # a window of four merged patches a side, and what is left of a second and a third
    for gpu, wanted in {"sm_80": [0, 0], "sm_90": [4, 0]}.items():
        with CountingDevice("ghost", gpu) as device:
            assert plans_built(device, flags_of("best"), [grids, grids]) == wanted
