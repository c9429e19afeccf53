"""How a child process ended, in one line."""

from __future__ import annotations

import signal


def ending(code: int, complaints: str) -> str:
    """Why a process with this exit code, and this on its stderr, ended."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    last = complaints.strip().splitlines()[-1:] or ["no message"]
    return f"its process ended with code {code}: {last[0]}"
