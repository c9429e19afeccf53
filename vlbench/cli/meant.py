"""What is meant by a command or an option that there is not."""

from difflib import SequenceMatcher
from typing import Any

from typer.core import TyperCommand, TyperGroup

from vlbench.errors import UsageError

COMMANDS = {
    "replay": "`vlbench run --scenario FILE.jsonl` times recorded calls anew",
    "compare": "`vlbench diff` compares two files, `vlbench judge` files of several runs, `vlbench ab` two revisions",
    "bench": "`vlbench run` times towers",
}
"""Commands that people try and that are none, with what does it."""
GPU = ("--gpu", "--as", "--board", "--device")
OPTIONS = {
    "--model": ("--tower",),
    "--tower": ("--model", "--variant"),
    "--with": ("--variant", "--start", "--tower"),
    "--variant": ("--with", "--start", "--tower"),
    **dict.fromkeys(("--preset", "--flags"), ("--with", "--variant", "--start", "--tower")),
    **dict.fromkeys((*GPU, "--on"), GPU),
    "--grid": ("--scenario", "--images", "--point"),
    "--images": ("--scenario", "--grid"),
    "--output": ("--out", "--json"),
    "--out": ("--output", "--json"),
    "--baseline": ("--against",),
}
"""Options that some command has or people try, with those that say the same elsewhere, the nearest in meaning first."""
NEAR = 0.7
"""As much alike are two names of which one may be a slip of the other; below it letters agree by chance."""


class Commands(TyperGroup):
    """Says of a command that is none which one is meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first of `args` names. Raises UsageError for one of `COMMANDS`."""
        if args[0] in COMMANDS:
            raise UsageError(f"vlbench {args[0]}: no such command; {COMMANDS[args[0]]}")
        return super().resolve_command(ctx, args)


class Command(TyperCommand):
    """Says of an option that it has not which one is meant.

    Its usage line leaves out arguments that are taken only to be refused in a sentence of our own.
    """

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the name of the command."""
        return [piece for piece in super().collect_usage_pieces(ctx) if not piece.startswith("[stray]")]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the parser takes them. Of an option that is refused those are named that say the same, or look alike."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # the class is typer's or click's own, by the version of typer
            if hasattr(error, "possibilities") and hasattr(error, "option_name"):
                shown = [each for each in self.params if not getattr(each, "hidden", False)]
                own = [name for each in shown for name in each.opts if name.startswith("--")]
                error.possibilities = meant(error.option_name, own)
            raise


def meant(option: str, own: list[str]) -> list[str]:
    """Which of a command's own options may be meant by one that it has not."""
    same = [each for each in OPTIONS.get(option, ()) if each in own]
    return same[:1] or [each for each in own if _near(option.strip("-"), each.strip("-"))][:3]


def _near(given: str, known: str) -> bool:
    shared = set(given.split("-")) & set(known.split("-"))
    return bool(shared) or SequenceMatcher(None, given, known).ratio() >= NEAR
