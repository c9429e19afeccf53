"""Towers that installed packages name: `NAME:MODEL`, by their entry points in the group `vlbench.towers`.

Names are read from what the packages were installed with; a package is imported once a tower of it is asked for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from vlbench.errors import UsageError, in_one_line

GROUP = "vlbench.towers"


def named_by_packages() -> list[EntryPoint]:
    """Every name that an installed package gives to towers, in order. Imports none of them."""
    return sorted(entry_points(group=GROUP), key=lambda each: (each.name, package_of(each)))


def package_of(named: EntryPoint) -> str:
    """The package that names it, with its version."""
    return f"{named.dist.name} {named.dist.version}" if named.dist else "a package without a name"


def packages_of(text: str) -> list[str]:
    """The packages, with their versions, that name the tower `NAME:MODEL`: one, if all is well; none for any other."""
    head, colon, _ = text.partition(":")
    return [package_of(each) for each in named_by_packages() if colon and each.name == head]


@dataclass(frozen=True)
class PackagedFactory:
    """A package's function, to be called with the model that was named."""

    make: Callable[[str], Any]
    """From a model's name to a `torch.nn.Module` or a `vlbench.Tower`."""
    model: str
    source: str
    """The package, with its version, and the platform."""
    platform: str = ""
    """What the attribute `platform` of the function says: as `vlbench.Tower` has it."""

    def __call__(self) -> Any:
        """What the package makes of the model."""
        return self.make(self.model)


def named_by_package(text: str) -> EntryPoint | None:
    """The entry point of the tower `NAME:MODEL`; None where no installed package has this name.

    Raises UsageError for a name that two have, and for one without a model.
    """
    head, _, model = text.partition(":")
    found = [each for each in named_by_packages() if each.name == head]
    if not found:
        return None
    whose = package_of(found[0])
    if len(found) > 1:
        raise UsageError(f"tower {text!r}: {whose} and {package_of(found[1])} both name {head}:; uninstall one of them")
    if not model:
        raise UsageError(f"tower {text!r}: write it as {head}:MODEL, with a model that {whose} knows")
    return found[0]


def packaged_factory(text: str) -> PackagedFactory | None:
    """What makes the tower `NAME:MODEL`, imported but not called; None where no installed package has this name.

    Raises UsageError, which names the package, for an entry point that is broken, and as `named_by_package` does.
    """
    if not (named := named_by_package(text)):
        return None
    told = f"the package {package_of(named)} names {named.value}, which"
    try:
        make = named.load()
    except (Exception, SystemExit) as error:  # whatever a module raises when it is imported
        raise UsageError(f"tower {text!r}: {told} cannot be loaded: {in_one_line(error)}") from None
    if not callable(make):
        what = f"is a {type(make).__name__}; it must be a function from a model's name to a tower"
        raise UsageError(f"tower {text!r}: {told} {what}")
    platform = str(getattr(make, "platform", ""))
    whose = ", ".join(filter(None, (package_of(named), platform)))
    return PackagedFactory(make, text.partition(":")[2], whose, platform)


def is_no_factory(attribute: str) -> bool:
    """Can nothing in a module be called so, as most models? Then what stands before it is the name of a package's."""
    return not all(part.isidentifier() for part in attribute.split("."))


def no_package(text: str, built_in: Iterable[str]) -> UsageError:
    """The error for a tower `NAME:MODEL` whose name is neither an installed package's nor, nearly, `built_in`."""
    head, names = text.partition(":")[0], list(dict.fromkeys(each.name for each in named_by_packages()))
    near = get_close_matches(head, [*names, *built_in], n=1)
    meant = f"did you mean {near[0]}:{text.partition(':')[2]}? " if near else ""
    known = ", ".join(f"{each}:" for each in names) or "none"
    return UsageError(
        f"tower {text!r}: no installed package names {head}: (packages name: {known}); {meant}install one that does, "
        "such as vlbench-engines (adapters/engines) for vllm:, or write package.module:factory"
    )
