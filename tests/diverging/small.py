"""A smaller probe, for tests that are not about which mistakes it shows in which dtype."""

from __future__ import annotations

import pytest

from vlbench.diverging import probe
from vlbench.workload.scenario import Item

ITEMS = (Item(kind="video", grid="4x20", frames=4), Item(grid="4x4"), Item(grid="2x2"))
PATCHES = 180


def small_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """180 patches in place of 1,216."""
    monkeypatch.setattr(probe, "PROBE", probe.PROBE.model_copy(update={"item": ITEMS}))
