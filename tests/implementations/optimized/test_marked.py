"""Our towers under the marker that others gate theirs with."""

from __future__ import annotations

import pytest


@pytest.mark.vlbench(tower="qwen2.5-vl-7b+best", grid="1x36x36", max_syncs=0)
def test_best_never_waits() -> None:
    """Once its caches are warm; the gate is the test."""
