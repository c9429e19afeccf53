"""The page docs/cheats.md: every cheat that patches are tried with, the reason it is judged by, and what catches it."""

from __future__ import annotations

from tests.patches.cheats import CATCHES, cheats

INTRODUCTION = """\
# Cheats of a judged patch

Ways to be rewarded by [`vlbench judge-patch`](judge-patch.md) without having earned it, after what is publicly told of
generated kernels: constants, stored outputs, known seeds and shapes, other people's memory, clocks, checkers and exit
statuses. Each is a patch of a small tower in `tests/patches/cheats.py`, and `make test-slow` judges it by the real
command; its reason was written down before it was run. None is worth more than a patch that changes nothing. What
stands against a variant that cheats in [`vlbench run`](running.md) is in [ways to cheat](cheating.md).

| what the patch does | is judged | what catches it |
|---|---|---|
"""
LIMITS = """
## Limits

- **The same user.** The patched code may send signals, read the memory of other processes, and have a service of the
  system start one that is not seen as its own. It is the order that protects: what its outputs are compared with is not
  there until its process has ended.
- **The same files.** It may write where its user may. Files of vlbench and of BASE are looked at again; torch, Python
  and the home folder are not. Run it in a container that is thrown away where that matters.
- **Its own clock.** A reading is taken in its process. Whoever asks for it sees the time that passes until it is
  there, and what the process worked meanwhile, with what it takes to make an input and to hand over an output. One of
  the two has to show half of a gain; the other half can be made up, and so can what a process left behind works.
- What [no check sees](cheating.md#what-is-not-caught) is not seen here.
"""


def page() -> str:
    """The whole page."""
    rows = []
    for each in cheats():
        by = each.caught_by or CATCHES[each.reason]
        asked = ", with `--times`" if each.times else ""
        rows.append(f"| {each.title}{asked} | `{each.reason.code}` | {by} |\n".replace("\\|", "|"))
    return INTRODUCTION + "".join(rows) + LIMITS
