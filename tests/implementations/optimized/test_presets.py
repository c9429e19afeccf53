from __future__ import annotations

import pytest

from tests.implementations.towers import TINY, name_of
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.optimized import (
    OPTIMIZATIONS,
    PRESETS,
    USUAL,
    Exactness,
    FlagError,
    FlagSet,
    preset_flags,
    with_requirements,
)

devices = pytest.mark.parametrize("device", ["cpu", "cuda", "xpu"])


@devices
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_can_be_built_for_every_model_and_device(preset: str, device: str) -> None:
    for config in MODELS.values():
        flags, left_out = preset_flags(preset, config, device)
        FlagSet(flags, config, device)
        assert flags.isdisjoint(left_out), config.name
        for flag, reason in left_out.items():
            assert OPTIMIZATIONS[flag].inapplicable(config, device) == reason, config.name
        assert flags | left_out.keys() == set(PRESETS[preset].flags(device)), config.name


@devices
def test_no_preset_of_ours_changes_results(device: str) -> None:
    for preset in USUAL:
        for flag in PRESETS[preset].flags(device):
            assert OPTIMIZATIONS[flag].exactness is not Exactness.RESULT_CHANGING


def is_exact(flag: str) -> bool:
    """With all that it needs: what tells varlen its longest segment is exact, and varlen is not."""
    return all(OPTIMIZATIONS[each].exactness is Exactness.BIT_EXACT for each in with_requirements([flag]))


@pytest.mark.parametrize("config", TINY, ids=name_of)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_exact_covers_every_seam_that_has_a_bit_exact_flag(config: VisionConfig, device: str) -> None:
    flags, _ = preset_flags("exact", config, device)
    assert FlagSet(flags, config, device).exactness() is Exactness.BIT_EXACT
    applicable = {
        flag.seam.name
        for flag in OPTIMIZATIONS.values()
        if is_exact(flag.flag) and not (flag.inapplicable(config, device) or flag.only_named)
    }
    assert {OPTIMIZATIONS[flag].seam.name for flag in flags} == applicable


def test_exact_takes_the_flag_that_a_seam_prefers() -> None:
    flags, _ = preset_flags("exact", TINY[1], "cpu")
    assert "host-inverse" in flags
    assert "argsort-inverse" not in flags


def test_classic_on_a_gpu_is_the_four_flags() -> None:
    flags, left_out = preset_flags("classic", TINY[1], "cuda")
    assert flags == {"rope-cache", "sdpa-prealloc", "argsort-inverse", "pinned-h2d"}
    assert left_out == {}


def test_what_is_left_out_is_named() -> None:
    flags, left_out = preset_flags("classic", TINY[0], "cpu")
    assert flags == {"rope-cache", "sdpa-prealloc"}
    assert left_out.keys() == {"argsort-inverse", "pinned-h2d"}


def test_an_unknown_preset() -> None:
    with pytest.raises(FlagError, match=r"^there is no preset 'fast'; the presets are baseline, classic, exact, best,"):
        preset_flags("fast", TINY[0], "cpu")


@pytest.mark.vlbench(tower="qwen2.5-vl-7b+best", grid="1x36x36", max_syncs=0)
def test_best_never_waits_once_its_caches_are_warm() -> None:
    """The marker is the test: the tower is counted at full size, and every wait of the host fails it with its line."""


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_whatever_best_lacks_has_a_reason_or_is_another_way_of_what_it_has(device: str) -> None:
    models, best = [MODELS["qwen2.5-vl-7b"], MODELS["qwen3-vl-8b"]], PRESETS["best"]
    chosen, passed_over = set(best.flags(device)), best.passed_over(device)
    seams = {OPTIMIZATIONS[flag].seam for flag in chosen}
    known = {flag for flag in OPTIMIZATIONS.values() if not all(flag.inapplicable(model, device) for model in models)}
    assert chosen.isdisjoint(passed_over)
    assert {flag.flag for flag in known if flag.seam not in seams and not flag.only_named} == passed_over.keys()
    assert all(passed_over.values())
