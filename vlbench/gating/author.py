"""Who takes figures for right, and why."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from vlbench.errors import UsageError
from vlbench.process.git import is_dirty, revision, user_name
from vlbench.record.baseline import Acceptance


def acceptance(
    what: Literal["saved", "accepted", "rebased"],
    reason: str,
    torch: str,
    changes: Sequence[str] = (),
    by: str | None = None,
) -> Acceptance:
    """The entry for now, of the checkout in the current folder. `by` is git's user, or the login, where it is None.

    Raises UsageError for a reason or a name that says nothing.
    """
    if not reason.strip():
        raise UsageError("--reason is empty; say why these figures are right")
    if by is not None and not by.strip():
        raise UsageError("--by is empty; name who accepts these figures, or leave it out")
    return Acceptance(
        what=what,
        by=(by or user_name() or _login()).strip(),
        reason=reason.strip(),
        date=datetime.now(UTC).replace(microsecond=0),
        revision=revision(),
        dirty=is_dirty(),
        torch=torch,
        changes=tuple(changes),
    )


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a passwd entry
        raise UsageError("nobody knows who you are here; say so with --by") from None
