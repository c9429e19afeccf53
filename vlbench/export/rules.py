"""What a line of code may do that a command tells of: the rules of code scanning, each with its help."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import get_args

from vlbench.record.capture import BLOCKERS
from vlbench.record.site import Event

WHAT = tomllib.loads(Path(__file__).with_name("rules.toml").read_text(encoding="utf-8"))
GROUPS = {
    "count": ("", "`vlbench count --where` counts it without a GPU.", get_args(Event)),
    "capture": (" in what is to be a CUDA graph", "`vlbench count --capture` sees it without a GPU.", BLOCKERS),
    "regressed": (", more often than before", "`vlbench gate` names what rose.", (*get_args(Event), "other")),
}
"""The beginning of a rule's name -> the end of its title, the end of its help, and of what there is one."""


def rule_name(group: str, kind: str) -> str:
    """`count/read-back` of a group and what happened."""
    return f"{group}/{kind.replace(' ', '-')}"


RULES: dict[str, tuple[str, str]] = {}
"""Name -> title and help."""
for _group, (_more, _how, _kinds) in GROUPS.items():
    for _kind in _kinds:
        _what = WHAT[_kind.replace(" ", "-")]
        RULES[rule_name(_group, _kind)] = (f"{_what['title']}{_more}.", f"{_what['help']} {_how}")


def rule_of(name: str) -> str:
    """The rule of a line that moved, by its name `EVENT ...: source`."""
    told = name.partition(": ")[0].removeprefix("allowed ")
    return rule_name("regressed", next((event for event in get_args(Event) if told.startswith(event)), "other"))
