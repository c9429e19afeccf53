"""The page docs/traps.md: every trap with the exit code that it must end with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.traps.traps import KILLED, KINDS, Trap

INTRODUCTION = """\
# Traps

Ways to get a bad change past vlbench, each laid in a copy of a small repository that is under the gate
(`tests/traps`), and the status that the command ends with. `make test-slow` runs them all with the real commands and
holds them to this table, which is made from the same list. Status 0 is "the same or better", 1 a failed test, 2 a wrong
command, 3 regressed, 5 inaccurate, 6 missing or incomparable; [the gate](gate.md) has more on them, and
[ways to cheat](cheating.md) what stands against a variant that cheats while it is timed.
"""


def page(traps: Sequence[Trap]) -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_tables(traps), *_uncaught(traps)]) + "\n"


def _tables(traps: Sequence[Trap]) -> Iterator[str]:
    for kind, heading in KINDS.items():
        yield from (f"## {heading}", "", "| what is done | command | ends with |", "|---|---|---|")
        for each in traps:
            if each.kind == kind and not each.cannot:
                yield f"| {_cell(each.title)} | `{_cell(each.command)}` | {_status(each)} |"
        yield ""


def _uncaught(traps: Sequence[Trap]) -> Iterator[str]:
    yield from ("## What cannot be caught", "", "Run with the rest, so that the day one is caught is noticed.", "")
    for each in traps:
        if each.cannot:
            yield f"- {each.title} (`{each.command}` ends with {each.exit}): {each.cannot}"


def _status(each: Trap) -> str:
    status = "137, killed" if each.exit == KILLED else str(each.exit)
    return f"{status} (not yet: {each.pending})" if each.pending else status


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
