"""Names that nothing has are refused before torch is imported, by every command alike."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from os.path import exists
from pathlib import Path
from typing import Any

from vlbench.cli.completion import names
from vlbench.errors import UsageError
from vlbench.implementations.near import no_flag

ELSEWHERE = ("over", "head", "patch")
"""Arguments beside which a tower is one of other revisions, which know their own names."""


def refuse_unknown(given: Mapping[str, Any]) -> None:
    """Raises UsageError for a model, tower, variant, scenario or GPU among these arguments that there is not."""
    of_here = not any(given.get(each) for each in ELSEWHERE)
    checks: dict[str, Callable[[str], object] | None] = {
        "scenario": None if given.get("results") else _check_scenario,  # of which some are stored, by whatever name
        "model": None if given.get("weights") else _find_model,  # a checkpoint's own model is called as its folder is
        "start": _check_variant,
        "variant": _check_variant,
        "diff": _check_side,
        "tower": _check_tower_by(given.get("python") or ()) if of_here else None,
        "head_tower": _check_ours,
        "gpu": _check_profile if isinstance(given.get("gpu"), str) else _check_board,  # --as takes one, --gpu several
    }
    for name, check in checks.items():
        texts = given.get(name) or ()
        for text in [texts] if isinstance(texts, str) else texts:
            if check:
                check(text)


def _check_scenario(text: str) -> None:
    from vlbench.workload.library import load_scenario, prompt_tables

    if text not in prompt_tables():  # which some commands take
        load_scenario(text)


def _find_model(text: str) -> None:
    from vlbench.towers.models import find_model

    find_model(text)


def _check_profile(text: str) -> None:
    from vlbench.counting_device.profiles import profile

    profile(text)


def _check_board(text: str) -> None:
    from vlbench.predicting.run import check_board

    check_board(text)


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
    return _check_tower if isinstance(pythons, str) or len(pythons) < 2 else _check_ours


def _check_ours(text: str) -> None:
    """Both environments of a comparison run this vlbench, with its models and flags."""
    from vlbench.towers.resolve import is_foreign

    if not is_foreign(text):
        _check_tower(text)


def _check_flags(parts: list[str], named: str, others: Iterable[str] = ()) -> None:
    from vlbench.record.preset_file import is_preset_file
    from vlbench.record.schema import NO_FLAGS, REFERENCE
    from vlbench.towers.modules import module_meant

    presets, flags = names("presets"), names("flags")
    registered = getattr(sys.modules.get("vlbench.implementations.optimized"), "OPTIMIZATIONS", ())  # by anyone's code
    known = {*presets, *flags, *names("former flags"), *registered, REFERENCE, NO_FLAGS, *others}
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
