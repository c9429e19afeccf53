from __future__ import annotations

from io import StringIO

from hypothesis import given
from rich.cells import cell_len
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from tests.export.judged_examples import ANYTHING, all_the_same, anything, counted, one_of_everything, timed
from tests.export.rendered import shown
from vlbench.export.console import view
from vlbench.judging.judged import Judged
from vlbench.judging.verdict import Verdict


def test_one_of_everything(snapshot: SnapshotAssertion) -> None:
    assert shown([one_of_everything()]) == snapshot


def test_what_is_the_same_is_one_line_and_the_verdict_is_the_last(snapshot: SnapshotAssertion) -> None:
    assert shown([all_the_same()]) == snapshot


def test_many_times_that_are_the_same_are_one_line() -> None:
    rows = tuple(timed(Verdict.SAME, f"cell {number}", 1.0, visible=number / 1000) for number in range(40))
    text = " ".join(shown([one_of_everything(rows=rows)]).split())
    assert "40 cells are the same in time (each would have shown 3.9 %): cell 0," in text
    assert "and 36 more (--csv)" in text


@anything
@given(ANYTHING)
def test_nothing_is_wider_than_a_terminal(judged: Judged) -> None:
    lines = shown([judged]).splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert "exit code" in " ".join(lines[-4:])


def test_colours_say_what_is_worse() -> None:
    out = StringIO()
    judged = one_of_everything(rows=(counted(Verdict.REGRESSED, "a"), counted(Verdict.IMPROVED, "b")))
    Console(file=out, width=80, force_terminal=True, color_system="standard").print(view([judged]))
    assert "\x1b[1;31mREGRESSED\x1b[0m" in out.getvalue()
    assert "\x1b[32mIMPROVED\x1b[0m" in out.getvalue()


def test_a_remedy_is_for_what_failed() -> None:
    assert "What to do" not in shown([all_the_same().model_copy(update={"remedy": "mend it"})])
