"""Two files beside each other: every kind of file, every reason not to compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vlbench
from tests.comparing.test_captured import program
from tests.gating.timings import NAME, measured, stored, trials
from tests.record.baselines import baseline, cell, forward
from tests.record.records import FINGERPRINT, died, failed, group, results, timed, trial
from vlbench.api import results as api
from vlbench.comparing.captured import captured_cell, judge_captured
from vlbench.comparing.compared import compare, compare_towers
from vlbench.comparing.counted_cells import CountResult, counted_cell
from vlbench.comparing.timed_cells import timed_cells
from vlbench.counting.job import Counted, CountJob, Event, Point
from vlbench.counting.worker import run_job
from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.recount import judge_counted
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import CALLED, Verdict
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import write_baseline
from vlbench.record.counted import CountedTower, CountGroup, CountReport
from vlbench.record.files import write_results
from vlbench.record.schema import CellGroup, Counts, Results

POINT = Point(scenario="grid", label="", grids=((1, 16, 16),))
TOYS = "tests.counting.toy_towers"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def report() -> CountReport:
    """A count of a tower that can be counted and of one that cannot."""
    towers = (f"{TOYS}:BoundsOnDevice", f"{TOYS}:broken")
    job = CountJob(towers=towers, variants=None, points=(POINT,), profile="sm_90", dtype="bfloat16", keep_going=True)
    events: list[Event] = []
    run_job(job, events.append)
    rows = tuple(event.row for event in events if isinstance(event, Counted))
    return counts(*rows)


def counts(*rows: CountedTower) -> CountReport:
    made = CountGroup(scenario="grid", point="", grids=POINT.grids, towers=rows)
    return CountReport(vlbench="0", profile="sm_90", dtype="bfloat16", groups=(made,), seconds=1.0, peak_host_bytes=1)


def compared(old: Results | Baseline | CountReport, new: Results | Baseline | CountReport) -> list[JudgedRow]:
    """The rows of their files."""
    for name, side in (("old.json", old), ("new.json", new)):
        match side:
            case Results():
                write_results(side, Path(name))
            case Baseline():
                write_baseline(side, Path(name))
            case CountReport():
                Path(name).write_text(side.with_checksum().model_dump_json())
    return list(compare("old.json", "new.json").rows)


def run(*ratios: float, seen: dict[str, Any] | None = None, **fields: Any) -> Results:
    return results(measured(*ratios, seen=seen, **fields))


def test_times_by_their_trials_and_counts_exactly() -> None:
    before = run(*[0.8] * 5, seen={"stages": {"attention": 0.006, "mlp": 0.002}})
    seen = {"stages": {"attention": 0.0068, "mlp": 0.002}, "counts": Counts(aten_operations=290, attention_calls=17)}
    time, counters = compared(before, run(*[0.88] * 5, seen=seen))
    assert (time.measure, time.verdict, counters.measure, counters.verdict) == (
        *("time", Verdict.REGRESSED),
        *("counters", Verdict.REGRESSED),
    )
    assert time.ratio == pytest.approx(1.1)
    assert "most of it in the stage attention" in time.reason
    assert counters.reason == "a warm forward: aten operations 300 -> 290, attention calls 16 -> 17"
    assert [(move.name, move.before, move.after) for move in counters.moves] == [
        ("aten_operations", 300, 290),
        ("attention_calls", 16, 17),
    ]


def test_a_file_is_the_same_as_itself_and_fewer_operations_are_better() -> None:
    assert {row.verdict for row in compared(run(*[0.8] * 5), run(*[0.8] * 5))} == {Verdict.SAME}
    fewer = run(*[0.8] * 5, seen={"counts": Counts(aten_operations=1, attention_calls=1)})
    assert [row.verdict for row in compared(run(*[0.8] * 5), fewer)] == [Verdict.SAME, Verdict.IMPROVED]


def test_one_trial_a_side_is_inconclusive() -> None:
    time, _ = compared(run(0.8), run(0.88))
    assert (time.verdict, time.ratio) == (Verdict.INCONCLUSIVE, pytest.approx(1.1))


def test_trials_that_confirmed_something_else_have_no_vote() -> None:
    suspected = results(measured(*[0.8] * 5, more=trials(*[2.0] * 5, confirms=True)))
    assert compared(run(*[0.8] * 5), suspected)[0].verdict is Verdict.SAME


def test_a_baseline_beside_results_by_its_thresholds() -> None:
    fields = {"scenario": "scenarios/multi-image.toml", "floor": 0.2, "threshold": 0.3}  # a path, as baselines have it
    accepted = baseline(cell(), timed=(stored(*[0.8] * 5, **fields),))
    time, counters = compared(accepted, run(*[0.88] * 5))
    assert (time.verdict, counters.verdict) == (Verdict.SAME, Verdict.SAME)


def test_two_baselines_by_counts_and_times_and_nobody_need_have_accepted_them() -> None:
    old = baseline(cell(forward(host_syncs=2)), timed=(stored(*[0.8] * 5),))
    new = baseline(cell(forward(host_syncs=3)), timed=(stored(*[0.8] * 5),), accepted=())
    assert [(row.measure, row.verdict) for row in compared(old, new)] == [
        ("counters", Verdict.REGRESSED),
        ("time", Verdict.SAME),
        ("counters", Verdict.SAME),
    ]


def test_counts_that_one_side_lacks_are_missing() -> None:
    here, there = run(*[0.8] * 5), run(*[0.8] * 5, seen={"counts": None})
    for old, new, lacking in ((here, there, "new.json"), (there, here, "old.json")):
        time, counters = compared(old, new)
        assert (time.verdict, counters.measure, counters.verdict) == (Verdict.SAME, "counters", Verdict.MISSING)
        assert counters.reason == f"{lacking} does not have what a warm forward asks for; measure it again"
    assert [row.verdict for row in compared(there, there)] == [Verdict.SAME]


def test_a_kind_of_cells_that_one_baseline_lacks_is_missing() -> None:
    both, counted = baseline(cell(), timed=(stored(*[0.8] * 5),)), baseline(cell())
    for old, new, lacking in ((both, counted, "new.json"), (counted, both, "old.json")):
        same, missing = compared(old, new)
        assert (same.verdict, missing.measure, missing.verdict) == (Verdict.SAME, "time", Verdict.MISSING)
        assert missing.reason.startswith(f"{lacking} does not have it")


def test_a_count_beside_itself_and_beside_a_baseline_of_it(report: CountReport) -> None:
    counted, broken = compared(report, report)
    assert (counted.cell, counted.verdict) == (f"{TOYS}:BoundsOnDevice grid bfloat16 sm_90", Verdict.SAME)
    assert (broken.cell, broken.verdict) == (f"{TOYS}:broken grid bfloat16 sm_90", Verdict.MISSING)
    assert broken.reason.startswith("old.json: ")
    from vlbench.comparing.counted_cells import counted_cell

    row = report.groups[0].towers[0]
    labelled = POINT.model_copy(update={"label": "1x16x16"})  # as a baseline labels a grid
    known = baseline(counted_cell(row, labelled, "sm_90", "bfloat16"))
    found = compared(known, counts(row))
    assert [row.verdict for row in found] == [Verdict.SAME]


@pytest.mark.parametrize(
    ("field", "other", "words"),
    [
        ("weights", "/a/checkpoint", "the two were run with other weights: random and /a/checkpoint"),
        ("seed", 1, "the two were drawn from another seed: 0 and 1"),
        ("threads", 2, "the two were run with another number of threads: 1 and 2"),
    ],
)
def test_what_was_not_run_alike_is_missing(field: str, other: object, words: str) -> None:
    (row,) = compared(run(*[0.8] * 5), run(*[0.8] * 5, **{field: other}))
    assert (row.verdict, row.reason) == (Verdict.MISSING, words)


@pytest.mark.parametrize(
    ("trials", "rows", "words"),
    [
        ({"fed_digest": "a" * 64}, {}, "the two were fed other pictures (digests): bbbbbbbbbbbb and aaaaaaaaaaaa"),
        (
            {"weights_digest": "a" * 64},
            {},
            "the two were run with other weights (digests): bbbbbbbbbbbb and aaaaaaaaaaaa",
        ),
        ({}, {"flags": ("rope-cache",)}, "the two were run with other flags under one name: host-grid and rope-cache"),
        ({}, {"tower": "timm 2"}, "the two were built by other packages: timm 1 and timm 2"),
        ({}, {"slow_down": 0.05}, "the two were slowed down by another share on purpose: 0.0 and 0.05"),
        ({}, {"exactness": "ulp"}, "the two were checked by another class of exactness: bit-exact and ulp"),
    ],
)
def test_what_a_name_stands_for_has_to_be_the_same(trials: dict[str, Any], rows: dict[str, Any], words: str) -> None:
    def made(seen: dict[str, Any], row: dict[str, Any]) -> Results:
        own = [
            trial(timed(NAME, 0.8), number=number, **{"fed_digest": "b" * 64, "weights_digest": "b" * 64} | seen)
            for number in range(5)
        ]
        usual = group(*own).rows
        return results(group(*own, rows=(usual[0], usual[1].model_copy(update={"tower": "timm 1"} | row))))

    (row,) = compared(made({}, {}), made(trials, rows))
    assert (row.verdict, row.reason) == (Verdict.MISSING, words)
    assert [row.verdict for row in compared(made({}, {}), made({}, {}))] == [Verdict.SAME] * 2


def test_figures_without_a_checksum_are_shown_and_have_no_say() -> None:
    old, new = run(*[0.8] * 5).model_copy(update={"checksum": ""}), run(*[0.9] * 5)
    for sides in ((old, new), (new, old)):
        found = compare(*sides)
        assert [row.gates for row in found.rows] == [False, False]
        assert found.rows[0].verdict in CALLED
        assert found.notes == ("the results: it has no checksum; its times are shown, and have no say",)
        assert found.exit_code == ExitCode.MISSING
    with pytest.raises(UsageError, match=r"run\.json: it has no checksum, and nobody gates on figures"):
        timed_cells(old, "run.json")


def test_an_edited_object_has_no_say_either() -> None:
    found = compare(run(*[0.8] * 5), run(*[0.8] * 5).model_copy(update={"command": "another"}))
    assert found.notes[0].startswith("the results: its checksum does not fit: it was edited or damaged")
    assert found.exit_code == ExitCode.MISSING


def test_a_group_that_is_there_twice_is_refused() -> None:
    one = measured(*[0.8] * 5)
    with pytest.raises(
        UsageError, match=r"the results: multi-image qwen2\.5-vl-tiny float32 cpu host-grid warm is there"
    ):
        compare(results(one, one), run(*[0.8] * 5))


@pytest.mark.parametrize("edit", [{"name": "other"}, {"seal": ""}, {"accepted": ()}])
def test_an_edited_baseline_is_refused_but_not_what_the_gate_proposes(edit: dict[str, Any]) -> None:
    accepted = baseline(cell())
    edited = accepted.model_copy(update=edit)
    with pytest.raises(IncomparableError, match=r"old\.json: (was edited|nobody has accepted)"):
        compared(edited, accepted)
    write_baseline(edited, Path("old.proposed.json"))
    assert compare("old.proposed.json", "new.json").rows


def test_an_edited_count_is_refused(tmp_path: Path) -> None:
    report = counts().with_checksum().model_dump_json()
    for text, told in (
        (report.replace('"seconds":1.0', '"seconds":2.0'), "its checksum does not fit"),
        (counts().model_dump_json(), "it has no checksum"),
    ):
        (tmp_path / "count.json").write_text(text)
        with pytest.raises(UsageError, match=f"{told}.*; count again"):
            compare(tmp_path / "count.json", tmp_path / "count.json")


def test_other_grids_and_another_reference_are_missing() -> None:
    grids = [trial(timed(NAME, 0.8), number=number, grids=((1, 8, 8),)) for number in range(5)]
    (row,) = compared(run(*[0.8] * 5), results(group(*grids)))
    assert row.reason == "the two were fed other grids: 2 items and 1 items"
    accepted = baseline(cell(), timed=(stored(*[0.8] * 5, reference="best"),))
    (row,) = compared(accepted, run(*[0.8] * 5))
    assert row.reason == "the two were timed against another reference: best and baseline"


def test_another_machine_compares_counts_and_no_times() -> None:
    there = FINGERPRINT.model_copy(update={"cpu": "another CPU"})
    time, counters = compared(run(*[0.8] * 5), results(measured(*[0.8] * 5), fingerprint=there))
    assert (time.verdict, counters.verdict) == (Verdict.MISSING, Verdict.SAME)
    assert time.reason == ("from two classes of machine, and times do not travel (CPU: a CPU against another CPU)")


def test_another_torch_compares_nothing() -> None:
    there = FINGERPRINT.model_copy(update={"torch": "2.14.0"})
    time, counters = compared(run(*[0.8] * 5), results(measured(*[0.8] * 5), fingerprint=there))
    assert (time.verdict, counters.verdict) == (Verdict.MISSING, Verdict.MISSING)
    assert counters.reason == "counted with torch 2.13.0 and 2.14.0: such counts do not compare"


def _with(*more: Any) -> CellGroup:
    return group(*[trial(timed(NAME, 0.8), *more, number=number) for number in range(5)])


def test_what_one_side_lacks_is_missing_on_either_side() -> None:
    both, one = results(_with(timed("best", 0.5))), results(_with())
    for old, new, lacking in ((both, one, "new.json"), (one, both, "old.json")):
        *_, row = compared(old, new)
        assert (row.verdict, row.measure) == (Verdict.MISSING, "time")
        assert row.reason == f"{lacking} does not have it; was it renamed, or left out?"


def test_a_result_that_is_wrong_now_is_inaccurate_and_one_that_was_is_missing() -> None:
    wrong, right = results(_with(failed("best"))), results(_with(timed("best", 0.5)))
    now = compared(right, wrong)[-1]
    assert (now.measure, now.verdict) == ("accuracy", Verdict.INACCURATE)
    assert now.reason == "new.json: not bit-exact in fp32: error 0.31"
    was = compared(wrong, right)[-1]
    assert (was.verdict, was.reason) == (Verdict.MISSING, "old.json: not bit-exact in fp32: error 0.31")
    dead = compared(right, results(_with(died("best"))))[-1]
    assert (dead.verdict, dead.reason) == (
        Verdict.MISSING,
        "new.json: its process was ended by SIGKILL (out of memory?)",
    )


def benchmark(name: str, *seconds: float) -> None:
    """A file of pytest-benchmark for each run."""
    for number, median in enumerate(seconds):
        bench = {"fullname": "test_it", "stats": {"median": median}}
        content = {"machine_info": {"cpu": {"brand_raw": "a CPU"}}, "benchmarks": [bench]}
        Path(f"{name}-{number}.json").write_text(json.dumps(content))


def test_runs_of_another_tool_by_patterns_and_one_a_side_proves_nothing() -> None:
    benchmark("old", 0.100, 0.101, 0.102, 0.1005)
    benchmark("new", 0.120, 0.121, 0.122, 0.1205)
    many = compare("old-*.json", "new-*.json")
    (row,) = many.rows
    assert (row.cell, row.verdict, row.unit) == ("test_it", Verdict.REGRESSED, "s")
    assert row.ratio == pytest.approx(1.2, abs=0.01)
    assert many.exit_code is ExitCode.REGRESSED
    assert many.false_alarms == pytest.approx(0.01)
    assert compare("old-0.json", "new-0.json").exit_code is ExitCode.INCONCLUSIVE


def test_files_without_a_cell_in_common_are_incomparable() -> None:
    with pytest.raises(IncomparableError, match=r"old\.json holds 1 timed cell .* and new\.json 1 counted cell"):
        compared(run(0.8), baseline())
    with pytest.raises(IncomparableError, match="they have none in common"):
        compared(run(0.8), run(0.8, model="qwen2-vl-tiny"))
    with pytest.raises(IncomparableError, match=r"new\.json nothing: they have none in common"):
        compared(run(0.8), results())


def test_times_of_two_kinds_of_file_are_incomparable() -> None:
    benchmark("old", 0.1)
    write_results(run(0.8), Path("run.json"))
    for sides in (("old-0.json", "run.json"), ("run.json", "old-0.json")):
        with pytest.raises(IncomparableError, match=r"run\.json is of vlbench and old-0\.json is not"):
            compare(*sides)


def test_what_cannot_be_read_is_one_sentence() -> None:
    write_results(run(0.8), Path("run.json"))
    with pytest.raises(UsageError, match=r"gone\.json: no such file; give results, a baseline or a count"):
        compare("run.json", "gone.json")
    with pytest.raises(UsageError, match=r"^A: gone\.json is no file and no pattern that fits one"):
        compare("gone.json", "lost.json")
    Path("count.json").write_text(json.dumps({"groups": [], "profile": 90}))
    with pytest.raises(UsageError, match=r"count\.json: vlbench: Field required; count again with"):
        compare("run.json", "count.json")
    Path("old.json").write_text(json.dumps({"schema_version": 0, "groups": [], "fingerprint": {}}))
    with pytest.raises(UsageError, match=r"old\.json: schema_version is 0"):
        compare("old.json", "run.json")


def test_chance_is_that_of_the_interval_and_what_is_allowed_is_passed_on() -> None:
    benchmark("old", 100, 130, 80)
    benchmark("new", 99, 128, 81)
    assert compare("old-*.json", "new-*.json").exit_code == 4
    allowed = compare("old-*.json", "new-*.json", allow_inconclusive=True)
    assert (allowed.exit_code, round(allowed.false_alarms or 0, 6)) == (0, 0.01)


def test_objects_compare_as_their_files_do() -> None:
    old, new = run(*[0.8] * 5), run(*[0.88] * 5)
    assert list(compare(old, new).rows) == compared(old, new)
    assert list(compare(old, Path("new.json")).rows) == compared(old, new)


def test_two_captures_are_judged_as_nsys_diff_does_and_one_beside_a_baseline_as_the_gate_does(folder: Path) -> None:
    five, six = program(folder, "five"), program(folder, "six", launches=6)
    judged = compare(five, six)
    (row,) = judged.rows
    assert (row.cell, row.verdict) == (":forward", Verdict.REGRESSED)
    assert row.reason.startswith("launches rose from 20 to 24")
    stored = captured_cell(five).model_copy(update={"name": "six"})
    (row,) = compare(baseline(captured=(stored,)), six).rows
    assert row == judge_captured(stored, captured_cell(six))


def test_two_towers_of_one_count_are_held_against_each_other(report: CountReport) -> None:
    good, broken = (row.name for row in report.groups[0].towers)
    (row,) = compare_towers(report, good, good).rows
    assert row.verdict is Verdict.SAME
    (row,) = compare_towers(report, good, broken).rows
    assert row.verdict is Verdict.MISSING
    assert row.reason.startswith(f"{broken}: ")


def test_counts_of_one_tower_each_are_held_against_each_other(report: CountReport) -> None:
    """As `vlbench.compare` is given them, whatever the towers are called."""
    (first, *_) = report.groups[0].towers
    before, after = (api.Counted(counts(first.model_copy(update={"name": name, "tower": name}))) for name in "ab")
    found = vlbench.compare(before, after).record
    assert (found.before, found.after, [row.verdict for row in found.rows]) == ("a", "b", [Verdict.SAME])


def test_code_for_another_platform_is_compared_with_no_count_of_a_gpus() -> None:
    """By `diff`, by `count --diff` and by the gate: the same tower, once with the label."""
    towers = (f"{TOYS}:Toy", f"{TOYS}:on_another_platform")
    job = CountJob(towers=towers, variants=None, points=(POINT,), profile="sm_90", dtype="bfloat16", further=False)
    events: list[Event] = []
    run_job(job, events.append)
    plain, labelled = (event.row for event in events if isinstance(event, Counted))
    assert [row.warm.counts.key.platform for row in (plain, labelled) if row.warm] == ["", "CPU platform"]
    both = counts(plain, labelled)
    renamed = counts(labelled.model_copy(update={"name": plain.name, "tower": plain.tower}))
    stored = counted_cell(plain, POINT, "sm_90", "bfloat16")
    now = CountResult(counted_cell(renamed.groups[0].towers[0], POINT, "sm_90", "bfloat16"))
    found = [
        *compare_towers(both, *towers).rows,
        *compared(counts(plain), renamed),
        *judge_counted([stored], {stored.name: now}),
    ]
    told = "it was counted in its code for a GPU, and this is code for a CPU platform: such counts do not compare"
    assert [(row.verdict, row.reason) for row in found] == [(Verdict.MISSING, told)] * 3
    assert compare_towers(both, *towers).exit_code == ExitCode.MISSING
    assert compared(renamed, renamed)[0].verdict is Verdict.SAME
