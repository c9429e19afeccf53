from __future__ import annotations

import pytest

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import PRESETS, FlagSet
from vlbench.matrix.ablation import Ablation, ablate
from vlbench.towers.variants import Variant, parse_variant

CONFIG = MODELS["qwen2.5-vl-tiny"]
WHOLE = "rope-cache+host-seqlens+batched-windows"
THREE = ("batched-windows", "host-seqlens", "rope-cache")


def taken_apart(mode: Ablation, text: str = WHOLE) -> dict[str, tuple[tuple[str, ...] | None, str]]:
    """Flags and reference by name."""
    found = ablate(mode, parse_variant(text, CONFIG, "cpu"), CONFIG, "cpu")
    assert found[0].flags is None
    return {variant.name: (variant.flags, variant.reference) for variant in found[1:]}


def test_add_one() -> None:
    assert taken_apart(Ablation.ADD_ONE) == {
        "no-flags": ((), "baseline"),
        "rope-cache": (("rope-cache",), "no-flags"),
        "host-seqlens": (("host-seqlens",), "no-flags"),
        "batched-windows": (("batched-windows", "host-seqlens"), "no-flags"),
        WHOLE: (THREE, "baseline"),
    }


def test_leave_one_out_takes_with_a_flag_what_needs_it_and_compares_with_the_whole() -> None:
    assert taken_apart(Ablation.LEAVE_ONE_OUT) == {
        WHOLE: (THREE, "baseline"),
        "without rope-cache": (("batched-windows", "host-seqlens"), WHOLE),
        "without host-seqlens": (("rope-cache",), WHOLE),
        "without batched-windows": (("host-seqlens", "rope-cache"), WHOLE),
    }


def test_cumulative_compares_each_with_the_one_before() -> None:
    assert taken_apart(Ablation.CUMULATIVE) == {
        "no-flags": ((), "baseline"),
        "+rope-cache": (("rope-cache",), "no-flags"),
        "+host-seqlens": (("host-seqlens", "rope-cache"), "+rope-cache"),
        "+batched-windows": (THREE, "+host-seqlens"),
    }


def test_pairs_hold_each_set_once() -> None:
    assert taken_apart(Ablation.PAIRS) == {
        "no-flags": ((), "baseline"),
        "rope-cache": (("rope-cache",), "no-flags"),
        "host-seqlens": (("host-seqlens",), "no-flags"),
        "batched-windows+host-seqlens": (("batched-windows", "host-seqlens"), "no-flags"),
        "host-seqlens+rope-cache": (("host-seqlens", "rope-cache"), "no-flags"),
        "batched-windows+host-seqlens+rope-cache": (THREE, "no-flags"),
    }


@pytest.mark.parametrize("mode", Ablation)
@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "baseline"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_preset_can_be_taken_apart(mode: Ablation, preset: str, device: str) -> None:
    found = ablate(mode, parse_variant(preset, CONFIG, device), CONFIG, device)
    names = [variant.name for variant in found]
    assert len(set(names)) == len(names)
    assert {variant.reference for variant in found} <= set(names)
    for variant in found:
        FlagSet(frozenset(variant.flags or ()), CONFIG, device)


@pytest.mark.parametrize(("text", "has"), [("baseline", "no flag"), ("rope-cache", "1 flag")])
def test_a_set_too_small_to_take_apart_is_refused(text: str, has: str) -> None:
    whole: Variant = parse_variant(text, CONFIG, "cpu")
    with pytest.raises(UsageError, match=f"'{text}' has {has} here; give a set of at least two"):
        ablate(Ablation.PAIRS, whole, CONFIG, "cpu")
