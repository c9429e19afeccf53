"""Attributes of an OpenTelemetry span, where a program traces itself. The package is never imported for it."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from math import prod


def tell_span(rows: Sequence[Sequence[int]], dtype: object, queue: int | None) -> None:
    """Put a call's images, patches, grids, dtype and queue on the span it is made in; nothing where none records."""
    with suppress(Exception):  # a tracer that fails has no say in what is recorded
        span = sys.modules["opentelemetry.trace"].get_current_span()
        if not span.is_recording():
            return
        told: dict[str, object] = {
            "vlbench.images": len(rows),
            "vlbench.patches": sum(map(prod, rows)),
            "vlbench.grids": ["x".join(map(str, row)) for row in rows],
        }
        if dtype is not None:
            told["vlbench.dtype"] = str(dtype).removeprefix("torch.")
        if queue is not None:
            told["vlbench.queue"] = queue
        span.set_attributes(told)
