"""What the shell completes: names as the source says them, files, and towers, without importing what they name."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from glob import escape, glob
from io import StringIO
from pathlib import Path

from vlbench.api.names import names
from vlbench.towers.installed import named_by_packages, packages_of
from vlbench.towers.modules import defined_in

Complete = Callable[[str], list[str]]
"""From what is typed so far to what it may become."""
ASKED = "_VLBENCH_COMPLETE"
"""The variable by which a shell asks."""
SPLITS = ":="
"""Where bash splits words."""


def one_of(*choices: str) -> Complete:
    """Completes to what is known beforehand."""
    return lambda incomplete: [each for each in choices if each.startswith(incomplete)]


def named(kind: str, others: Complete | None = None) -> Complete:
    """Completes to the names of a kind, and to what `others` give."""
    return lambda incomplete: [*one_of(*names(kind))(incomplete), *(others(incomplete) if others else ())]


def files(*suffixes: str) -> Complete:
    """Completes to files, those of some suffixes alone where any is given, and to folders on the way to them."""

    def complete(incomplete: str) -> list[str]:
        found = map(Path, sorted(glob(f"{escape(incomplete)}*")))
        return [f"{each}/" if each.is_dir() else str(each) for each in found if each.is_dir() or _fits(each, suffixes)]

    return complete


def variants(incomplete: str) -> list[str]:
    """Flags and presets joined by +, a peer, or the floor."""
    done, plus, last = incomplete.rpartition("+")
    kinds = ("presets", "flags") if plus else ("presets", "flags", "peers", "floor")
    known = [name for kind in kinds for name in names(kind) if name.startswith(last)]
    return [f"{done}{plus}{name}" for name in [*known, *(files(".toml")(last) if last else ())]]


def towers(incomplete: str) -> list[str]:
    """Models, those with flags, of transformers and of installed packages, and what modules from here on define."""
    head, colon, attribute = incomplete.partition(":")
    if colon and head != "hf" and not packages_of(incomplete):
        path = Path(*head.split(".")).with_suffix(".py")
        return [f"{head}:{name}" for name in defined_in(path) if name.startswith(attribute)]
    model, plus, _ = incomplete.partition("+")
    if plus:
        found = variants(incomplete.removeprefix(f"{model}+"))
        return [f"{model}+{each}" for each in found if not each.startswith(("hf-", "floor"))]
    heads = ("", "hf:", *(f"{each.name}:" for each in named_by_packages()))
    ours = [f"{start}{name}" for start in heads for name in names("models")]
    inside = files(".py")(incomplete.replace(".", "/"))
    modules = (each.removesuffix(".py").replace("/", ".") + ":" * each.endswith(".py") for each in inside)
    return [*one_of(*ours)(incomplete), *modules]


def whole_words(words: list[str], at: int) -> tuple[list[str], int, str]:
    """Words that bash split at colons and equals signs, up to the one that is completed, each whole again.

    With its place, and with how much of it bash keeps: it replaces only what follows the last of these signs.
    """
    whole: list[str] = []
    kept = last = ""
    for word in [*words, ""][: at + 1]:
        splits = bool(word) and set(word) <= set(SPLITS)
        if whole and (splits or (last and word and not word.startswith("-"))):
            kept = whole[-1] + word * splits
            whole[-1] += word
        else:
            kept = ""
            whole.append(word)
        last = word if splits else ""
    return whole, len(whole) - 1, kept


@contextmanager
def answering_bash() -> Iterator[None]:
    """Where bash asks inside of this block, it is told what `whole_words` become, without what it keeps of them."""
    words, at = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    if os.environ.get(ASKED) != "complete_bash" or not at.isdigit() or int(at) > len(words):
        yield
        return
    whole, place, kept = whole_words(words, int(at))
    os.environ |= {"COMP_WORDS": "\n".join(whole), "COMP_CWORD": str(place)}
    kept = kept.partition("=")[2] if kept.startswith("-") else kept  # --tower=my_tower: completes to my_tower:make
    answer = StringIO()
    try:
        with redirect_stdout(answer):
            yield
    finally:
        print("\n".join(line.removeprefix(kept) for line in answer.getvalue().splitlines()))


def _fits(path: Path, suffixes: tuple[str, ...]) -> bool:
    return not suffixes or path.suffix in suffixes
