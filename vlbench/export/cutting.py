"""Names that are too long for their column: cut in the middle, and so that two of them never look alike."""

from collections.abc import Iterable, Sequence
from itertools import takewhile

from vlbench.record.grouping import gathered

GAP = "\N{HORIZONTAL ELLIPSIS}"


def cut(name: str, width: int) -> str:
    """Its beginning and its end, in `width` characters."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}{GAP}{name[len(name) - tail :]}"


def told_apart(names: Sequence[str], width: int) -> list[str]:
    """Each name in `width` characters, from about twelve up; of those that would look alike, where they differ."""
    found = {name: cut(name, width) for name in names}
    for alike in _alike(found.items()):
        found |= _where_they_differ(alike, width)
    for alike in _alike(found.items()):  # they differ in more places than can be shown
        for number, name in enumerate(alike, 1):
            mark = f"{GAP}#{number}"
            found[name] = f"{found[name][: width - len(mark)]}{mark}"
    return [found[name] for name in names]


def _where_they_differ(names: Sequence[str], width: int) -> dict[str, str]:
    """Their common beginning in short, then what follows where they part; of those that go on together, later."""
    shared = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))
    head = width // 3
    start = max(head, shared - 2)
    found = {}
    for name in names:
        rest, room = name[start:], width - head - 1
        found[name] = f"{name[:head]}{GAP}{rest if len(rest) <= room else rest[: room - 1] + GAP}"
    for alike in _alike(found.items()):
        if len(alike) < len(names):
            found |= _where_they_differ(alike, width)
    return found


def _alike(shown: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The names of which two or more are shown in the same way."""
    return [names for names in gathered((text, name) for name, text in shown).values() if len(names) > 1]
