"""What a tower has captured is its own: no copy, no weights of later and no other thread sees it."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from tests.implementations.optimized.exactness import NEEDS_CUDA, device_kind, why_not
from tests.implementations.towers import NARROW_2_5, NARROW_3, name_of, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.execution.budgeted import GraphBudget
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness, OptimizedVisionTower, with_requirements
from vlbench.implementations.output import unpack
from vlbench.implementations.packing import Budgets
from vlbench.implementations.weights import SharedTensors

GRAPHS = pytest.mark.parametrize("flag", ["graph-exact", "graph-budget"])
GRIDS = torch.tensor([[1, 4, 12], [1, 2, 4]])


def pixels(seed: int, config: VisionConfig = NARROW_2_5) -> Tensor:
    return torch.randn(56, config.patch_dim, generator=torch.Generator().manual_seed(seed))


def tower_of(
    *flags: str, config: VisionConfig = NARROW_2_5, weights: SharedTensors | None = None
) -> OptimizedVisionTower:
    every = with_requirements(flags)
    # Shared with nobody: weights are written into.
    own = SharedTensors({key: tensor.clone() for key, tensor in (weights or weights_of(config)).items()})
    tower = build_tower(config, every, own, device_kind(every, config))
    assert isinstance(tower, OptimizedVisionTower)
    if isinstance(tower.execution, GraphBudget):
        tower.execution.budgets = Budgets((64,))
    return tower


def larger(config: VisionConfig = NARROW_2_5) -> SharedTensors:
    return SharedTensors({key: tensor * 1.5 for key, tensor in weights_of(config).items()})


def close(one: object, other: object) -> bool:
    pairs = zip(unpack(one).values(), unpack(other).values(), strict=True)  # type: ignore[arg-type]
    return all(torch.allclose(*pair, rtol=1e-4, atol=1e-5) for pair in pairs)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@GRAPHS
def test_a_copy_of_a_called_tower_computes_on_what_it_is_given(flag: str) -> None:
    tower = tower_of(flag)
    tower(pixels(1), GRIDS)
    other = copy.deepcopy(tower)
    assert len(other.caches()["graphs"]) == 0
    assert close(other(pixels(2), GRIDS), tower_of(flag)(pixels(2), GRIDS))


@pytest.mark.slow
@pytest.mark.parametrize("config", [NARROW_2_5, NARROW_3], ids=name_of)
def test_a_copy_of_a_called_tower_has_weights_of_its_own(config: VisionConfig) -> None:
    """With any flag. The test below is for what is compiled."""
    checked = 0
    for flag, known in OPTIMIZATIONS.items():
        flags = with_requirements([flag])
        if not known.seam.in_tower or known.uncounted or NEEDS_CUDA & flags or why_not(flags, config):
            continue
        tower = tower_of(flag, config=config)
        before = tower(pixels(1, config), GRIDS)
        other = copy.deepcopy(tower)
        for parameter in other.parameters():
            parameter.mul_(1.5)
        expected = tower_of(flag, config=config, weights=larger(config))(pixels(1, config), GRIDS)
        assert not close(before, expected)
        assert close(other(pixels(1, config), GRIDS), expected), flag
        assert close(tower(pixels(1, config), GRIDS), before), flag
        checked += 1
    assert checked > 20


@pytest.mark.slow
@pytest.mark.parametrize("config", [NARROW_2_5, NARROW_3], ids=name_of)
@pytest.mark.parametrize("modes", [(torch.inference_mode, torch.no_grad), (torch.no_grad, torch.inference_mode)])
def test_a_tower_is_called_in_one_mode_after_another(
    config: VisionConfig, modes: tuple[Callable[[], AbstractContextManager[object]], ...]
) -> None:
    """With any flag that is counted."""
    expected = tower_of("host-seqlens", config=config)(pixels(1, config), GRIDS)
    for flag, known in OPTIMIZATIONS.items():
        flags = with_requirements([flag])
        if not known.seam.in_tower or known.uncounted or NEEDS_CUDA & flags or why_not(flags, config):
            continue
        tower = tower_of(flag, config=config)
        for mode in (*modes, *modes):
            with mode():
                found = tower(pixels(1, config), GRIDS)
            assert known.exactness is Exactness.RESULT_CHANGING or close(found, expected), flag


def test_what_is_compiled_is_a_method_of_the_copy() -> None:
    other = copy.deepcopy(tower_of("compile", config=NARROW_3))
    for module, name in (
        (other.blocks[0], "attention"),
        (other.blocks[0], "feed_forward"),
        (other.merger, "forward"),
        (other.deepstack_merger_list[0], "forward"),
    ):
        assert vars(module)[name].__self__ is module


@GRAPHS
def test_a_pickle_holds_no_graph(flag: str) -> None:
    tower = tower_of(flag)
    tower(pixels(1), GRIDS)
    loaded = pickle.loads(pickle.dumps(tower.execution))
    assert (len(loaded.graphs), loaded.graphs.bytes) == (0, 0)
    assert loaded.graphs.max_bytes == tower.execution.graphs.max_bytes


def in_place(tower: OptimizedVisionTower) -> None:
    tower.load_state_dict(larger())


def assigned(tower: OptimizedVisionTower) -> None:
    tower.load_state_dict(larger(), assign=True)


def by_data(tower: OptimizedVisionTower) -> None:
    for parameter in tower.parameters():
        parameter.data = parameter.data * 1.5


@GRAPHS
@pytest.mark.parametrize("more", [(), ("fused-gate-up",)], ids=["plain", "joined"])
@pytest.mark.parametrize(("change", "captured"), [(in_place, 1), (assigned, 2), (by_data, 2)])
def test_weights_that_have_moved_are_captured_anew(
    flag: str, more: tuple[str, ...], change: Callable[[OptimizedVisionTower], None], captured: int
) -> None:
    """A graph of CUDA would read where they were."""
    tower = tower_of(flag, *more)
    graphs = tower.caches()["graphs"]
    for _ in range(2):
        tower(pixels(1), GRIDS)
    change(tower)
    for _ in range(2):
        found = tower(pixels(1), GRIDS)
    assert close(found, tower_of(flag, *more, weights=larger())(pixels(1), GRIDS))
    assert (len(graphs), graphs.misses, graphs.hits) == (1, captured, 4 - captured)


@GRAPHS
def test_threads_take_turns(flag: str) -> None:
    tower = tower_of(flag)
    expected = [tower(pixels(seed), GRIDS) for seed in range(4)]

    def wrong(seed: int) -> int:
        with torch.no_grad():
            return sum(not close(tower(pixels(seed), GRIDS), expected[seed]) for _ in range(10))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(wrong, range(4))) == 0
    finally:
        sys.setswitchinterval(before)
    if flag == "graph-budget":
        assert tower.execution.patches == 44 * 56
