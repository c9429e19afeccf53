"""What arguments may be: one or several of a thing, paths or texts, towers by name or as objects."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from inspect import BoundArguments, signature
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from vlbench.api.known import as_known
from vlbench.errors import UsageError, name_too_long
from vlbench.record.directions import words_of
from vlbench.towers.tower import Tower

P = ParamSpec("P")
R = TypeVar("R")
File = str | PathLike[str]
Names = str | Sequence[str] | None
TowerLike = str | Tower | Callable[..., Any]
"""A name as `--tower` takes it, or a factory or `vlbench.Tower` at the top of a module."""
Towers = TowerLike | Sequence[TowerLike] | None


NUMBERS: dict[str, tuple[type, float, float]] = {
    "seed": (int, 0, 2**63 - 1),
    "threads": (int, 1, 4096),
    "trials": (int, 1, 1000),
    "forwards": (int, 1, 10**6),
    "budget": (float, 0.001, 10**7),
    "timeout": (float, 0.001, 10**7),
    "requests": (int, 1, 10**6),
    "turns": (float, 1, 1000),
    "conversations": (int, 1, 10**6),
    "graphs": (int, 1, 10**6),
    "most_padding": (float, 0, 1),
    "memory_at": (int, 1, 10**6),
    "kv_bytes": (int, 1, 10**9),
    "shards": (int, 1, 10**6),
    "cpus": (int, 1, 4096),
    "tries": (int, 1, 100),
    "silence": (float, 5, 10**6),
}
"""Kind, least and most of arguments that are numbers, whichever function takes them."""
OPTIONAL = ("budget", "trials", "requests", "memory_at", "kv_bytes", "shards", "cpus")
"""Those that may be None."""
TEXTS = words_of(
    "scenario model variant seam dtype state only grid gpu metric compare before key after over package python"
)
"""Arguments that are a text or several."""
FORMS = {"grid": '"1x36x36" for 1 frame of 36 x 36 patches', "dtype": '"bfloat16"', "tower": '"package.module:factory"'}
"""How to write those of which people have an object at hand."""
PATHS = frozenset({"weights", "out", "dump", "images", "perfetto", "listed", "capture", "expect", "matrix", "baseline"})
"""Those that are a path or several."""
KINDS = {"text": TEXTS, "path": PATHS, "tower": {"tower"}}
TEXT, NONE = (str, PathLike), type(None)
SINGLE: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("<class 'str'>", "str"), TEXT),
    "str | None": (*TEXT, NONE),
    **dict.fromkeys(("<class 'bool'>", "bool"), (bool,)),
    "bool | None": (bool, NONE),
}
"""What may be given where a type is written so."""
PREDICTING = ("predict", "recommend")
"""How the functions are called whose `gpu` is one or several to predict for."""

UNREAD: dict[str, dict[str, str]] = {
    "profile": {
        "overhead": "tool blocks out limit",
        "tool=stages": "out limit",
        "tool=pyinstrument": "blocks limit",
        "tool=torch": "blocks",
    },
    "recommend": {"counters=False": "gpu cudnn", "grid": "scenario point"},
    "predict": {"check": "gpu grid cold", "check=None": "budget"},
    "ab": {"counters=False": "gpu cudnn", "python=None": "head_tower", "python": "base head"},
    "judge_patch": {"times": "grid", "times=False": "trials budget"},
    "simulate": {"memory_at=None": "kv_bytes"},
    "run --plan": {
        "plan_file": "scenario model seam variant tower exactness ablate images scenario_sizes weights device dtype "
        "state only plan seed threads trials budget isolate against counts",
        "plan_file=None": "shard",
    },
    "plan": {
        "matrix": "scenario model variant tower exactness ablate weights device dtype state only seed threads trials "
        "budget"
    },
    "verify": {"where": "exactness timeout quiet", "dump": "exactness timeout quiet"},
}
"""By function, or what a command is asked for: arguments that nothing reads where another is given or has a value."""


def several(given: Names | PathLike[str]) -> list[str]:
    """The texts, of which there may be one or none."""
    return [str(given)] if isinstance(given, str | PathLike) else [str(each) for each in given or ()]


def check_numbers(arguments: Mapping[str, object], dashes: str = "") -> None:
    """Raises UsageError for a number out of its range; `dashes` stand before its name."""
    for name in arguments.keys() & NUMBERS.keys():
        (kind, least, most), value = NUMBERS[name], arguments[name]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole or (kind is float and isinstance(value, float))) or not least <= value <= most:  # type: ignore[operator]
            option = name.replace("_", "-") if dashes else name
            words = "whole number" if kind is int else "number"
            raise UsageError(f"{dashes}{option}: {value!r:.60} is not a {words} from {least:g} to {most:g}; give one")


def check(arguments: Mapping[str, object]) -> None:
    """Raises UsageError for a number out of its range, and for what is none of its kind nor several."""
    check_numbers({name: value for name, value in arguments.items() if value is not None or name not in OPTIONAL})
    for name, value in arguments.items():
        what = next((each for each, names in KINDS.items() if name in names), "")
        if not what or value is None or hasattr(value, "record"):
            continue
        given = [value] if _is_one(what, value) else value
        fits = all(_is_one(what, each) for each in given) if isinstance(given, Sequence) else what == "path"
        if not fits or not isinstance(given, Iterable):
            form = FORMS.get(name, "one of them")
            raise UsageError(f"{name}: {value!r:.60} is neither a {what} nor a list of {what}s; give {form}")


def _is_one(what: str, value: object) -> bool:
    return isinstance(value, str | PathLike) or (what == "tower" and (isinstance(value, Tower) or callable(value)))


def refuse_unread(
    values: Mapping[str, object],
    usual: Mapping[str, object],
    unread: Mapping[str, str],
    option: Callable[[str], str] = lambda name: f"--{name.replace('_', '-')}",
) -> None:
    """Raises UsageError for a value that is not the usual one and that nothing would read; `unread` as in `UNREAD`.

    A value "None" or "False" in `unread` is that of an option that is left out or turned off.
    """
    values = {name: None if value == [] else value for name, value in values.items()}  # as the parser has it
    given = {name for name, value in values.items() if value != usual[name]}
    for mode, others in unread.items():
        name, equals, value = mode.partition("=")
        if str(values[name]) == value if equals else name in given:
            told = {"": f"beside {option(name)}", "None": f"without {option(name)}"}
            told["False"] = f"with {option(f'no_{name}')}"
            for other in (each for each in others.split() if each in given):
                how = told.get(value, f"with {option(name)} {value}")
                raise UsageError(f"{option(other)} says nothing {how}; leave it out")


def paths(given: File | Iterable[File] | None) -> list[Path]:
    """The paths, of which there may be one or none."""
    if given is None or isinstance(given, str | PathLike):
        return [] if given is None else [Path(given)]
    return [Path(each) for each in given]


def path_of(given: File | None) -> Path | None:
    """The path, if one was given."""
    return None if given is None else Path(given)


def tower_names(given: Towers) -> list[str]:
    """Each tower by the name that measuring processes import it by. Raises UsageError for one that has none."""
    if given is None or isinstance(given, str | Tower) or callable(given):
        return [] if given is None else [_tower_name(given)]
    return [_tower_name(each) for each in given]


def _tower_name(tower: TowerLike) -> str:
    if isinstance(tower, str):
        return tower
    if isinstance(tower, Tower):
        raise UsageError(f"tower {tower.name!r} is an object; name where it lies: tower='package.module:NAME'")
    module, name = getattr(tower, "__module__", ""), getattr(tower, "__qualname__", "")
    if not module or not name or "<" in name:
        raise UsageError(f"tower {name or tower!r} is made inside of a function; put it at the top of a module")
    return f"{module}:{name}"


def called(name: str, arguments: dict[str, object], function: Callable[..., Any]) -> str:
    """The call as it would be written, without what has its usual value: what results say they were made by."""
    usual = {key: each.default for key, each in signature(function).parameters.items() if key != "progress"}
    told = [f"{key}={value!r}" for key, value in arguments.items() if key in usual and value != usual[key]]
    return f"vlbench.{name}({', '.join(told)})"


def in_python(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose messages call arguments by their names and not as the command line does."""
    with_any: Callable[..., R] = function

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = _bound(function, args, kwargs)
            predicts = function.__name__.startswith(PREDICTING)
            bound.arguments |= as_known(bound.arguments, boards=predicts)
            if unread := UNREAD.get(function.__name__):
                bound.apply_defaults()
                usual = {name: each.default for name, each in bound.signature.parameters.items()}
                refuse_unread(bound.arguments, usual, unread)
            return with_any(*bound.args, **bound.kwargs)
        except UsageError as error:
            error.args = (argument_words(str(error)),)
            raise
        except OSError as error:
            if told := name_too_long(error):
                raise told from None
            raise

    return call


def _bound(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> BoundArguments:
    """What is given to each parameter. Raises UsageError for what the function lacks, or does not take."""
    takes = signature(function)
    for name in kwargs.keys() - takes.parameters.keys():
        near = get_close_matches(name, takes.parameters, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"it takes {', '.join(takes.parameters)}"
        raise UsageError(f"{name}: vlbench.{function.__name__} takes no such argument; {remedy}")
    try:
        bound = takes.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(f"vlbench.{function.__name__}: {error}; see help(vlbench.{function.__name__})") from None
    check(bound.arguments)
    for name, value in bound.arguments.items():
        kind = str(takes.parameters[name].annotation)
        if kind in SINGLE and not isinstance(value, SINGLE[kind]):
            told = "neither True nor False; give one" if "bool" in kind else f"no text; give {FORMS.get(name, 'one')}"
            raise UsageError(f"{name}: {value!r:.60} is {told}")
    return bound


OTHERWISE = {"as": "gpu", "with": "variant", "filter": "only"}
"""Arguments that have another name than the option."""


def argument_words(sentence: str) -> str:
    """`--device: ...` as `device: ...`; commands between backticks stay as they are."""
    words = re.compile(r"(`[^`]*`)|--([a-z]+(?:-[a-z]+)*)")
    return words.sub(lambda found: found[1] or OTHERWISE.get(found[2], found[2].replace("-", "_")), sentence)
