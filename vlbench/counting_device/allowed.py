"""Waits that are meant: who writes the code says so, with a reason, and they are counted apart. Imports no torch."""

import re
from contextvars import ContextVar, Token

from vlbench.errors import UsageError

_reason: ContextVar[str] = ContextVar("allow_sync", default="")
_MARK = re.compile(r"#\s*vlbench:\s*(\S*)[ \t]*([^#\n]*)")
COMMENT = "allow-sync"


class allow_sync:  # noqa: N801  # it is used like a function
    """`with vlbench.allow_sync("reason"):` allows the waits inside, in this thread: `allowed_syncs`, not `host_syncs`.

    It holds until the block is left: where a generator yields inside of it, also for whoever iterates over that.
    Where nothing is counted it does nothing. Raises UsageError without a reason.
    """

    def __init__(self, reason: str) -> None:
        if not isinstance(reason, str) or not reason.strip():
            raise UsageError('allow_sync needs a reason: with vlbench.allow_sync("the lengths are needed on the host")')
        self.reason = " ".join(reason.split())
        self._before: list[Token[str]] = []

    def __enter__(self) -> None:
        self._before.append(_reason.set(self.reason))

    def __exit__(self, *error: object) -> None:
        _reason.reset(self._before.pop())


def allowed_here() -> str:
    """The reason of the innermost `allow_sync` around the caller; "" outside of all."""
    return _reason.get()


def allowed_by_comment(comment: str, place: str) -> str:
    """The reason in `# vlbench: allow-sync REASON`, if the `comment` of a line is one; "" where it is none.

    Raises UsageError, which names the `place`, for a mark that says something else or gives no reason.
    """
    found = _MARK.search(comment)
    if found is None:
        return ""
    word, reason = found[1], " ".join(found[2].split())
    if word != COMMENT:
        raise UsageError(f"{place}: there is no mark `# vlbench: {word}`; write `# vlbench: {COMMENT} REASON`")
    if not reason:
        raise UsageError(f"{place}: `# vlbench: {COMMENT}` gives no reason; write it behind the mark")
    return reason
