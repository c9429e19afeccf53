"""Things put together by what they have in common."""

from collections.abc import Iterable
from typing import TypeVar

K = TypeVar("K")
N = TypeVar("N")


def gathered(pairs: Iterable[tuple[K, N]]) -> dict[K, list[N]]:
    """By the first of each pair all that come second with it, in order."""
    found: dict[K, list[N]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
