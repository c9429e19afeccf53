from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.implementations.towers import TINY, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import (
    OPTIMIZATIONS,
    Exactness,
    FlagError,
    FlagSet,
    Optimization,
    find_flag,
    with_requirements,
)
from vlbench.implementations.optimized.seam import Seam, excluded_by

FIRST, SECOND, THIRD, _ = TINY


def refusal(names: set[str], config: VisionConfig = SECOND, device: str = "cpu") -> str:
    with pytest.raises(FlagError) as caught:
        FlagSet(frozenset(names), config, device)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_two_ways_of_one_seam() -> None:
    assert refusal({"host-inverse", "argsort-inverse"}) == (
        "argsort-inverse and host-inverse are two ways of one seam (inverse permutation); choose one"
    )


def test_a_missing_requirement() -> None:
    assert refusal({"batched-windows"}) == ("batched-windows needs host-seqlens; add it: host-seqlens+batched-windows")


def test_flags_of_two_seams_that_exclude_each_other() -> None:
    seam: Seam[Callable[[], None]] = Seam("a test")
    said = {"removes": "nothing", "exactness": Exactness.BIT_EXACT, "source": "a test", "excludes": ["host-grid"]}
    try:
        seam.optimization("alone", **said)(lambda: None)  # type: ignore[arg-type]
        assert excluded_by(OPTIMIZATIONS["host-grid"]) == ["alone"]
        assert excluded_by(OPTIMIZATIONS["alone"]) == ["host-grid"]
        assert refusal({"host-grid", "alone"}) == "alone and host-grid exclude each other; choose one"
    finally:
        del OPTIMIZATIONS["alone"]


@pytest.mark.parametrize("flag", [flag.flag for flag in OPTIMIZATIONS.values() if flag.requires])
def test_every_requirement_is_asked_for_and_is_enough(flag: str) -> None:
    assert f"{flag} needs " in refusal({flag}, device="cuda")
    FlagSet(with_requirements([flag]), SECOND, "cuda")


def test_a_device_on_which_the_flag_means_nothing() -> None:
    message = refusal({"pinned-h2d"})
    assert message.startswith("pinned-h2d cannot be used here: it concerns copies to a GPU")
    assert message.endswith("leave it out")


@pytest.mark.parametrize("flag", ["window-sort", "host-inverse", "argsort-inverse", "no-empty-windows", "window-cache"])
def test_a_model_without_windows(flag: str) -> None:
    assert refusal({flag}, FIRST) == (
        f"{flag} cannot be used here: qwen2-vl-tiny has no window attention; leave it out"
    )


def test_a_model_without_a_gated_mlp() -> None:
    assert refusal({"fused-gate-up"}, FIRST) == (
        "fused-gate-up cannot be used here: qwen2-vl-tiny has no gated MLP; leave it out"
    )


@pytest.mark.parametrize(
    ("flag", "lacks"),
    [
        ("pos-embed-cache", "no learned position embedding"),
        ("pos-embed-vectorized", "no learned position embedding"),
        ("deepstack-dict", "no deepstack"),
        ("deepstack-prealloc", "no deepstack"),
    ],
)
def test_a_model_without_what_qwen3_has(flag: str, lacks: str) -> None:
    assert refusal({flag}) == f"{flag} cannot be used here: qwen2.5-vl-tiny has {lacks}; leave it out"


@pytest.mark.parametrize(
    "ask",
    [
        find_flag,
        lambda name: with_requirements([name]),
        lambda name: FlagSet(frozenset({name}), SECOND, "cpu"),
        lambda name: build_tower(SECOND, [name], weights_of(SECOND)),
    ],
)
def test_an_unknown_flag_with_a_close_match(ask: Callable[[str], object]) -> None:
    with pytest.raises(FlagError, match=r"^there is no flag 'rope-cash'; did you mean rope-cache\?$"):
        ask("rope-cash")


def test_an_unknown_flag_like_no_other() -> None:
    message = refusal({"zzz"})
    assert message.startswith("there is no flag 'zzz'; the flags are ")
    assert all(flag in message for flag in OPTIMIZATIONS)


def test_a_tower_with_wrong_flags_is_not_built() -> None:
    with pytest.raises(FlagError, match="two ways of one seam"):
        build_tower(SECOND, {"sdpa-prealloc", "batched-windows", "host-seqlens"}, weights_of(SECOND))


def test_a_flag_is_registered_once() -> None:
    seam: Seam[Callable[[], int]] = Seam("test")
    before = dict(OPTIMIZATIONS)
    with pytest.raises(FlagError, match=r"^the flag 'rope-cache' is registered twice$"):
        seam.optimization("rope-cache", removes="", exactness=Exactness.ULP, source="")(lambda: 1)
    assert seam.flags == ()
    assert before == OPTIMIZATIONS


def test_a_seam_without_a_naive_way_says_so() -> None:
    seam: Seam[Callable[[], int]] = Seam("test")
    with pytest.raises(FlagError, match=r"^seam 'test' has no naive way$"):
        seam.way(FlagSet(frozenset(), SECOND, "cpu"))


def test_without_a_flag_a_seam_goes_its_naive_way() -> None:
    for flag in OPTIMIZATIONS.values():
        assert flag.seam.way_of([flag.flag]) is flag.way is not flag.seam.naive_way
        if not flag.seam.in_tower:
            continue
        assert flag.seam.way(FlagSet(frozenset(), SECOND, "cpu")) is flag.seam.naive_way
        config = THIRD if flag.inapplicable(SECOND, "cuda") else SECOND
        chosen = FlagSet(with_requirements([flag.flag]), config, "cuda")
        assert flag.seam.way(chosen) is flag.way is not flag.seam.naive_way


def test_the_exactness_of_a_set_is_its_loosest_flags() -> None:
    def exactness(*names: str) -> Exactness:
        return FlagSet(frozenset(names), SECOND, "cpu").exactness()

    assert exactness() is exactness("host-grid") is Exactness.BIT_EXACT
    assert exactness("host-grid", "rope-table") is Exactness.ULP
    assert exactness("host-grid", "rope-table", "patch-matmul") is Exactness.REASSOCIATED


@pytest.mark.parametrize("flag", OPTIMIZATIONS.values(), ids=OPTIMIZATIONS)
def test_every_flag_says_what_it_removes_and_where_it_comes_from(flag: Optimization) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", flag.flag)
    assert flag.removes
    assert flag.source
    assert flag.flag not in flag.requires


def test_a_name_of_an_earlier_version_is_taken() -> None:
    assert find_flag("skip-repin") is OPTIMIZATIONS["inverse-pinned"]
    chosen = with_requirements(["skip-repin", "inverse-pinned"])
    assert chosen == {"inverse-pinned", "pinned-h2d"}
    assert FlagSet(frozenset({"skip-repin", "pinned-h2d"}), SECOND, "cuda").names == chosen
    assert "inverse-pinned needs pinned-h2d" in refusal({"skip-repin"}, device="cuda")
