"""An option that a command has not: those are named that say the same, and no others that merely share letters."""

from __future__ import annotations

import pytest

from vlbench.cli.meant import OPTIONS, meant

from .conftest import Vlbench


@pytest.mark.parametrize(
    ("given", "hint"),
    {
        "count --model qwen3-vl-8b --with best": "--model (Possible options: --tower)",
        "predict --on h200": "--on (Possible options: --gpu)",
        "predict --device=h200": "--device (Possible options: --gpu)",
        "count --board h100": "--board (Possible options: --as)",
        "baseline save a.json --model qwen3-vl-8b": "--model (Possible options: --tower)",
        "run --scenaro video": "--scenaro (Possible options: --scenario)",
        "verify --grid 1x4x4": "--grid",
    }.items(),
)
def test_an_option_of_another_command_names_what_says_it_here(vlbench: Vlbench, given: str, hint: str) -> None:
    ended = vlbench(*given.split())
    assert ended.code == 2
    assert f"No such option: {hint}" in " ".join(ended.err.split())
    assert hint.endswith(")") or "Possible" not in ended.err


def test_only_what_a_command_has_is_named() -> None:
    assert meant("--model", ["--cold", "--help", "--over"]) == []
    assert meant("--threads-all", ["--threads", "--trials"]) == ["--threads"]
    assert meant("--most-images-of-a-prompt", ["--images", "--trials"]) == ["--images"]
    assert meant("--trails", ["--threads", "--trials"]) == ["--trials"]
    assert all(meant(given, [known]) == [known] for given, same in OPTIONS.items() for known in same)
