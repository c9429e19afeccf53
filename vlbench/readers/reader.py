"""What a reader is: it says whether a file is its own, and what runs the file holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlbench.readers.document import Document
from vlbench.record.runs import Run


@dataclass(frozen=True)
class Reader:
    """One format."""

    name: str
    reads: str
    """Whose results, for a list of all formats."""
    recognises: Callable[[Document], bool]
    """Looks at a few telling fields; never raises."""
    read: Callable[[Document], list[Run]]
    """Raises `UsageError` with one sentence naming the file and the field."""
