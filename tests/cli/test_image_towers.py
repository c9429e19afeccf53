"""Towers of other packages, as these build them: counted and gated with nothing of ours between, weights random."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.cli.gated import git

DEPTH = 3
TOWERS = """
import torch


def siglip():
    from transformers import SiglipVisionConfig, SiglipVisionModel

    small = dict(hidden_size=64, intermediate_size=128, num_attention_heads=2, image_size=56, patch_size=14)
    return SiglipVisionModel(SiglipVisionConfig(num_hidden_layers=3, **small))


def dinov2():
    from transformers import Dinov2Config, Dinov2Model

    small = dict(hidden_size=64, num_attention_heads=2, image_size=56, patch_size=14, drop_path_rate=0.1)
    return Dinov2Model(Dinov2Config(num_hidden_layers=3, **small))


def timm_vit():
    import timm

    return timm.create_model("vit_tiny_patch16_224", img_size=64, depth=3)
"""
GUARD = """
def is_finite(module, args, output):
    hidden = output[0] if isinstance(output, tuple) else output
    if not torch.isfinite(hidden).all():
        raise FloatingPointError(type(module).__name__)


def guarded(factory):
    def make():
        tower = factory()
        for module in tower.modules():
            if type(module).__name__ in ("SiglipEncoderLayer", "Dinov2Layer", "Block"):
                module.register_forward_hook(is_finite)
        return tower

    return make


siglip, dinov2, timm_vit = guarded(siglip), guarded(dinov2), guarded(timm_vit)
"""
NEEDS_TIMM = pytest.mark.skipif(find_spec("timm") is None, reason="the extra `timm` is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["siglip", "dinov2", pytest.param("timm_vit", marks=NEEDS_TIMM)])
def test_gated_as_they_are_and_a_question_in_every_layer_is_a_regression(
    vlbench: Vlbench, folder: Path, name: str
) -> None:
    source = folder / "image_towers.py"
    source.write_text(TOWERS)
    git("init", "--quiet")
    counted = vlbench("count", "--tower", f"image_towers:{name}", "--json").json()
    (tower,) = counted["groups"][0]["towers"]
    total = tower["warm"]["counts"]["total"]
    assert (total["attention_calls"], total["host_syncs"], counted["groups"][0]["images"]) == (DEPTH, 0, True)
    assert vlbench("gate", "init", f"image_towers:{name}", "--reason", "First counts.").code == 0
    ended = vlbench("gate")
    assert ended.code == 0, ended.out
    source.write_text(TOWERS + GUARD)
    number = source.read_text().splitlines().index("    if not torch.isfinite(hidden).all():") + 1
    ended = vlbench("gate")
    said = " ".join(ended.out.split())
    assert ended.code == 3, ended.out
    assert "host syncs rose from 0 to 3" in said
    assert f"image_towers.py:{number}" in said
