"""One gate run over captures, whose cells need no process: rows, what was found again, and the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.comparing.test_captured import program
from tests.record.baselines import TIMED, baseline
from vlbench.comparing.captured import captured_cell
from vlbench.errors import UsageError
from vlbench.gating import Times
from vlbench.gating.acceptance import propose
from vlbench.gating.report import report
from vlbench.gating.required import Required
from vlbench.gating.run import gate, read_captures
from vlbench.gating.timed import GateResult
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import proposal_path, write_baseline
from vlbench.record.outputs import StoredCall, StoredOutputs

FILE = Path("toy.json")


def run(stored: Baseline, *captures: Path, times: Times = Times.AUTO) -> GateResult:
    captured = read_captures([stored], captures)
    return gate({FILE: stored}, [{}], captured, times)[FILE]


@pytest.fixture
def stored(tmp_path: Path) -> Baseline:
    """Two captures."""
    (tmp_path / "new").mkdir()
    captures = tuple(captured_cell(program(tmp_path, name)) for name in ("server", "client"))
    return baseline(counted=(), captured=captures)


def taken(tmp_path: Path, name: str, **settings: int) -> Path:
    """A new capture."""
    return program(tmp_path / "new", name, **settings)  # type: ignore[arg-type]


def said(judged: Judged) -> str:
    return " ".join(filter(None, (judged.written, judged.remedy, *judged.notes)))


def test_a_capture_that_was_not_taken_again_is_missing(stored: Baseline, tmp_path: Path) -> None:
    found = run(stored, taken(tmp_path, "server"))
    assert [row.verdict for row in found.rows] == [Verdict.SAME, Verdict.MISSING]
    assert found.rows[1].reason == "no new capture of it was given; take one and add --capture client.nsys-rep"
    assert not found.moved


def test_captures_that_do_not_compare_are_missing_with_the_reason(stored: Baseline, tmp_path: Path) -> None:
    other = stored.captured[1].model_copy(update={"gpus": ("another GPU",)})
    changed = stored.model_copy(update={"captured": (stored.captured[0], other)})
    found = run(changed, taken(tmp_path, "server"), taken(tmp_path, "client"))
    assert found.rows[1].verdict is Verdict.MISSING
    assert "the baseline is from another GPU" in found.rows[1].reason


def test_what_a_reader_of_both_captures_has_to_know_is_noted(stored: Baseline, tmp_path: Path) -> None:
    told = {"version": "nsys 2022.1, schema 2", "notes": ("old.nsys-rep: read from its export old.sqlite",)}
    older = stored.captured[0].model_copy(update=told)
    changed = stored.model_copy(update={"captured": (older, stored.captured[1])})
    found = run(changed, taken(tmp_path, "server"), taken(tmp_path, "client"))
    assert {row.verdict for row in found.rows} == {Verdict.SAME}
    assert list(found.notes) == [
        "capture server: old.nsys-rep: read from its export old.sqlite",
        "capture server: made by nsys 2022.1, schema 2 and nsys 2026.2.1.210, schema 3.25.0",
    ]


def test_a_capture_that_nobody_stored_is_refused(stored: Baseline, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"hold no capture 'worker'; name it after one \(server, client\)"):
        read_captures([stored], [taken(tmp_path, "worker")])


def test_more_launches_are_proposed_and_the_report_says_how_to_accept_them(stored: Baseline, tmp_path: Path) -> None:
    found = run(stored, taken(tmp_path, "server", launches=6), taken(tmp_path, "client"))
    assert [row.verdict for row in found.rows] == [Verdict.REGRESSED, Verdict.SAME]
    assert found.moved
    made = propose(stored, found.cells, stored.fingerprint)
    assert [cell.ranges[0].counters["launches"] for cell in made.captured] == [6, 5]
    judged = report(Required({FILE: stored}, {}), {FILE: found}, {FILE: proposal_path(FILE)})
    assert judged.exit_code == 3
    assert judged.before == "toy.json, saved on 2025-11-03 by somebody: it is right"
    assert 'mend what rose; or, if that is meant, `vlbench baseline accept toy.json --reason "..."`' in said(judged)


@pytest.mark.parametrize("kept", [True, False])
def test_a_result_that_is_meant_can_be_stored_where_results_are(stored: Baseline, kept: bool) -> None:
    row = JudgedRow(cell="toy:Tower on a CPU", measure="accuracy", verdict=Verdict.INACCURATE, reason="it differs")
    outputs = (
        StoredOutputs(tower="toy:Tower", names="", weights="", calls=(StoredCall(name="small", raised="no"),))
        if kept
        else None
    )
    held = stored.model_copy(update={"outputs": (outputs,) if outputs else ()})
    told = said(report(Required({FILE: held}, {}), {FILE: GateResult([row], [])}, {}))
    way = 'if it is meant to change, `vlbench baseline complete toy.json --outputs --reason "..."` stores it, and '
    assert "mend the result" in told
    assert (way in told) is kept


def test_fewer_launches_pass_and_ask_to_be_accepted(stored: Baseline, tmp_path: Path) -> None:
    found = run(stored, taken(tmp_path, "server", launches=4), taken(tmp_path, "client"))
    elsewhere = {FILE: Path("new.json")}
    judged = report(Required({FILE: stored}, {}), {FILE: found}, elsewhere)
    assert (judged.exit_code, judged.written, judged.remedy) == (0, "new.json", None)
    assert 'accept toy.json --from new.json --reason "..."` keeps it from being lost unseen' in said(judged)


def test_a_proposal_of_an_earlier_run_is_not_left_without_a_word(stored: Baseline, tmp_path: Path) -> None:
    file = tmp_path / "toy.json"
    write_baseline(stored, proposal_path(file))
    found = run(stored, taken(tmp_path, "server"), taken(tmp_path, "client"))
    judged = report(Required({file: stored}, {}), {file: found}, {})
    assert "toy.proposed.json is from an earlier run, and this one found nothing to accept: remove it" in said(judged)


def test_no_file_passes_in_the_shadow_of_another() -> None:
    """Times that are left out leave nothing to judge, whatever the other files hold."""
    found = run(baseline(counted=(), timed=(TIMED,)), times=Times.NEVER)
    assert [row.verdict for row in found.rows] == [Verdict.MISSING]
    assert "nothing in this file was judged" in found.rows[0].reason
