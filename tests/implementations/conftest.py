"""Checkpoint folders as transformers writes them, once for all tests of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.implementations.towers import TINY
from vlbench.implementations.config import VisionConfig


@pytest.fixture(scope="session")
def their_model() -> Callable[[VisionConfig], Any]:
    """transformers' whole model of a configuration, made once."""
    made: dict[VisionConfig, Any] = {}

    def make(config: VisionConfig) -> Any:
        if config not in made:
            from tests.implementations.checkpoints import full_model  # transformers with it, which others do without

            torch.manual_seed(0)
            made[config] = full_model(config).eval()
        return made[config]

    return make


@pytest.fixture(scope="session")
def saved(their_model: Callable[[VisionConfig], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of every family as transformers writes them: whole, and in many shards."""
    root = tmp_path_factory.mktemp("checkpoints")
    for config in TINY:
        their_model(config).save_pretrained(root / config.name / "whole")
        their_model(config).save_pretrained(root / config.name / "shards", max_shard_size="300KB")
    return root


@pytest.fixture
def whole(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved / TINY[1].name / "whole", tmp_path / "whole"))


@pytest.fixture
def shards(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved / TINY[1].name / "shards", tmp_path / "shards"))
