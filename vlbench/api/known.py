"""Names that nothing has are refused before torch is imported, by every command and function alike."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from os.path import exists
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from vlbench.api.names import names
from vlbench.errors import UsageError, check_choice
from vlbench.implementations.near import no_flag

ELSEWHERE = ("over", "head", "patch")
"""Arguments beside which a tower is one of other revisions, which know their own names."""
VARIANTS = ("presets", "flags", "former flags", "peers", "floor", "references")
KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("variant", "start"), VARIANTS),
    **dict.fromkeys(("tower", "head_tower", "diff"), ("models", *VARIANTS)),
    "scenario": ("scenarios", "prompts"),
    "model": ("models",),
    "seam": ("seams",),
    "dtype": ("dtypes",),
    "device": ("devices",),
    "state": ("states",),
    "tool": ("tools",),
    "ablate": ("ablations",),
    "exactness": ("classes",),
    "reader": ("formats",),
}
"""Of which kinds the names are that an argument takes."""
CHOICES = ("seam", "state", "tool", "ablate", "exactness", "device")
"""Arguments that take the names of their kind and nothing else."""


def as_known(given: Mapping[str, Any], *, boards: bool | None = None) -> dict[str, Any]:
    """These arguments, with a name that differs from one that there is in the case of letters alone as that one is.

    Raises UsageError for a model, tower, variant, scenario or GPU among them that there is not, and for weights that
    are no checkpoint. `boards`: is `gpu` one or several to predict for, and not the one that counting answers for?
    """
    boards = not isinstance(given.get("gpu"), str) if boards is None else boards  # as --gpu and --as have it
    kinds = KINDS | {"gpu": ("boards",) if boards else ("gpus",)}
    found = {name: _spelled(value, kinds[name]) if name in kinds else value for name, value in given.items()}
    _refuse_unknown(found, boards)
    return found


def _spelled(value: Any, kinds: Sequence[str]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_spelled(each, kinds) for each in value)
    if not isinstance(value, str) or value == value.lower():  # as all names are
        return value
    known = {name for kind in kinds for name in names(kind)}
    if "flags" not in kinds:
        return _of_one_case(value, known)
    from vlbench.towers.resolve import is_built_in

    head, colon, rest = value.rpartition(":")
    if colon and not is_built_in(head):  # anyone's factory, or the code of a folder
        return value
    return head + colon + "+".join(_of_one_case(part, known) for part in rest.split("+"))


def _of_one_case(text: str, known: Collection[str]) -> str:
    same = [each for each in known if each.lower() == text.lower()]
    return same[0] if len(same) == 1 else text


def _refuse_unknown(given: Mapping[str, Any], boards: bool) -> None:
    of_here = not any(given.get(each) for each in ELSEWHERE)
    checks: dict[str, Callable[[Any], object] | str | None] = {
        "scenario": None if given.get("results") else _check_scenario,  # of which some are stored, by whatever name
        "model": None if given.get("weights") else "towers.models:find_model",  # a checkpoint's has its folder's name
        "start": _check_variant,
        "variant": _check_variant,
        "diff": _check_side,
        "tower": _check_tower_by(given.get("python") or ()) if of_here else None,
        "head_tower": _check_ours,
        "gpu": "predicting.run:check_board" if boards else "counting_device.profiles:profile",
        "weights": _check_weights,
        "dtype": "towers.models:find_dtype",
        "cudnn": "counting_device.profiles:cudnn_of",
        "grid": "counting.job:parse_grid",
        **{name: partial(_check_choice, name) for name in CHOICES},
    }
    for name, check in checks.items():
        value = given.get(name) or ()
        for each in value if isinstance(value, list | tuple) else [value]:
            if check and isinstance(each, str | PathLike):  # a tower may be an object
                (resolve_name(f"vlbench.{check}") if isinstance(check, str) else check)(each)


def _check_choice(name: str, text: str) -> None:
    check_choice(f"--{name}", text, names(*KINDS[name]))


def _check_weights(folder: str | PathLike[str]) -> None:
    from vlbench.untrusted.checkpoints import check_checkpoint

    if not Path(folder).is_dir():
        raise UsageError(f"--weights {folder}: not a folder; give the folder that holds the .safetensors files")
    check_checkpoint(Path(folder))


def _check_scenario(text: str) -> None:
    from vlbench.workload.library import load_scenario, prompt_tables

    if text not in prompt_tables():  # which some commands take
        load_scenario(text)


def _check_variant(text: str) -> None:
    from vlbench.implementations.floor import NAME as FLOOR
    from vlbench.implementations.peers import PEERS

    if ":" in text:
        _check_tower(text)
    elif text != FLOOR:
        _check_flags(text.split("+"), f"variant {text!r}", PEERS)


def _check_side(text: str) -> None:
    from vlbench.towers.resolve import is_tower

    (_check_tower if is_tower(text) else _check_variant)(text)


def _check_tower(text: str) -> None:
    from vlbench.towers.from_folder import tower_in_folder
    from vlbench.towers.installed import named_by_package
    from vlbench.towers.resolve import check_model, is_foreign, named_factory

    if tower_in_folder(text):  # of another revision
        return
    if not is_foreign(text):
        check_model(text)
        _check_flags(text.split("+")[1:], f"tower {text!r}")
    elif named_by_package(text) is None:
        named_factory(text)


def _check_tower_by(pythons: str | Sequence[str]) -> Callable[[str], object]:
    """Of two environments neither need be this one, but beside one the tower is made here, too."""
    return _check_tower if isinstance(pythons, str | PathLike) or len(pythons) < 2 else _check_ours


def _check_ours(text: str) -> None:
    """Both environments of a comparison run this vlbench, with its models and flags."""
    from vlbench.towers.resolve import is_foreign

    if not is_foreign(text):
        _check_tower(text)


def _check_flags(parts: list[str], named: str, others: Iterable[str] = ()) -> None:
    from vlbench.record.preset_file import is_preset_file
    from vlbench.towers.modules import module_meant

    presets, flags = names("presets"), names("flags")
    registered = getattr(sys.modules.get("vlbench.implementations.optimized"), "OPTIMIZATIONS", ())  # by anyone's code
    known = {*presets, *flags, *names("former flags"), *registered, *names("references"), *others}
    for part in parts:
        if is_preset_file(part):
            _check_preset_file(part)
        elif part not in known:
            if meant := module_meant(part):
                raise UsageError(f"{named}: there is no flag {part!r}; {meant}")
            raise UsageError(f"{named}: {no_flag(part, flags, presets)}")


def _check_preset_file(name: str) -> None:
    from vlbench.record.preset_file import read_preset

    if not exists(name):  # what is there is read once, later
        read_preset(Path(name))
