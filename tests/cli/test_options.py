"""How the fields of a class become the options of a command."""

from __future__ import annotations

from typing import get_args

from typer.models import OptionInfo

from vlbench.cli.options import CommandOptions, Seed, parameters_of


class Shared(CommandOptions):
    """What two commands take."""

    name: str
    """Whose it is."""
    seed: Seed = 0


class Own(Shared):
    """What one of them takes."""

    other: Seed = 1
    """Another seed, over
    two lines."""
    silent: bool = False


def helps(options: type[CommandOptions]) -> dict[str, str | None]:
    settings = {each.name: get_args(each.annotation)[1] for each in parameters_of(options)}
    assert all(isinstance(each, OptionInfo) for each in settings.values())
    return {name: each.help for name, each in settings.items()}


def test_the_help_of_a_field_stands_below_it_or_below_its_type() -> None:
    expected = {
        "name": "Whose it is.",
        "seed": "Seeds weights, inputs and the order of rounds.",
        "other": "Another seed, over two lines.",
        "silent": None,
    }
    assert helps(Own) == expected
    assert list(helps(Own)) == list(expected)


def test_a_help_of_its_own_does_not_reach_other_fields_of_the_same_type() -> None:
    assert helps(Own)["other"] != helps(Shared)["seed"] == helps(Own)["seed"]


def test_subclasses_are_frozen_dataclasses_with_their_defaults() -> None:
    assert vars(Own(name="x")) == {"name": "x", "seed": 0, "other": 1, "silent": False}
    assert [each.default is each.empty for each in parameters_of(Own)] == [True, False, False, False]
