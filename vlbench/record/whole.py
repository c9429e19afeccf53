"""Text that is written whole or not at all."""

import os
from pathlib import Path

from vlbench.errors import resolved


def replace_text(path: Path, text: str) -> None:
    """Write beside a regular file, or where none is, and rename. A link stays a link to what is written.

    Raises OSError, and leaves what was there; UsageError where links lead in a circle.
    """
    goal = resolved(path, str(path)) if path.is_symlink() else path
    draft = goal.with_name(f".{goal.name}.{os.getpid()}")
    try:
        draft.write_text(text)
        draft.replace(goal)
    finally:
        draft.unlink(missing_ok=True)
