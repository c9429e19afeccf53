"""What a line of code may do that a command tells of: the rules of code scanning, each with its help.

Records are imported where they are needed, since every command looks at all formats when it is defined.
"""

from functools import cache
from pathlib import Path
from typing import get_args


def rule_name(group: str, kind: str) -> str:
    """`count/read-back` of a group and what happened."""
    return f"{group}/{kind.replace(' ', '-')}"


@cache
def rules() -> dict[str, tuple[str, str]]:
    """Name -> title and help."""
    import tomllib

    from vlbench.record.capturable import BLOCKERS
    from vlbench.record.site import Event

    groups = (
        ("count", "", "`vlbench count --where` counts it without a GPU.", get_args(Event)),
        ("capture", " in what is to be a CUDA graph", "`vlbench count --capture` sees it without a GPU.", BLOCKERS),
        ("regressed", ", more often than before", "`vlbench gate` names what rose.", (*get_args(Event), "other")),
    )
    what = tomllib.loads(Path(__file__).with_name("rules.toml").read_text(encoding="utf-8"))
    return {
        rule_name(group, kind): (f"{told['title']}{more}.", f"{told['help']} {how}")
        for group, more, how, kinds in groups
        for kind in kinds
        if (told := what[kind.replace(" ", "-")])
    }


def rule_of(name: str) -> str:
    """The rule of a line that moved, by its name `EVENT ...: source`."""
    from vlbench.record.site import Event

    told = name.partition(": ")[0].removeprefix("allowed ")
    return rule_name("regressed", next((event for event in get_args(Event) if told.startswith(event)), "other"))
