from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from tests.export.rendered import shown
from vlbench.export.console import view
from vlbench.export.sheet import Words

COMMAND = '`vlbench baseline accept results/baselines/towers.json --reason "..."`'


@pytest.mark.parametrize("indent", [0, 4])
def test_a_command_in_a_paragraph_is_in_one_line(indent: int) -> None:
    told = f"What rose is to be mended; where that is meant, {COMMAND} takes the new figures, and the file says who."
    lines = shown([Words(told, indent=indent)]).splitlines()
    assert any(COMMAND in line for line in lines)
    assert all(line.startswith(" " * indent) for line in lines)
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == told


def test_a_command_that_is_wider_than_the_terminal_is_whole_all_the_same() -> None:
    command = COMMAND.replace("towers", "t" * 60)
    out = StringIO()
    Console(file=out, width=80).print(view([Words(f"take it: {command}", indent=2)]), crop=False)
    assert f"  {command}\n" in out.getvalue()
