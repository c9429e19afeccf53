from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.export.groups import COMBINATION, one_trial, quick_look, voted
from tests.export.rendered import shown
from tests.judging import looks
from tests.record.records import died, failed, group, results, timed, trial
from vlbench.api.measured import Measured
from vlbench.export.results import failures, group_parts, judged_groups, results_parts, results_sheet, title
from vlbench.export.sheet import Table, broken, records
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.schema import Counts, Row, State, VariantTrial


def test_a_quick_look(snapshot: SnapshotAssertion) -> None:
    assert shown(group_parts(quick_look())) == snapshot


def test_several_trials(snapshot: SnapshotAssertion) -> None:
    assert shown(group_parts(voted())) == snapshot


def test_several_states(snapshot: SnapshotAssertion) -> None:
    states: tuple[State, ...] = ("warm", "cold")
    made = trial(
        timed("baseline", 1.0, states), variants=(timed("baseline", 1.0, states), timed("rope-cache", 0.5, states))
    )
    assert shown(group_parts(group(made))) == snapshot


def test_nothing_is_wider_than_a_terminal_and_nothing_is_cut() -> None:
    for made in (quick_look(), voted()):
        text = shown(group_parts(made))
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        for part in COMBINATION.split("+"):
            assert part in text


def lines_of(name: str) -> list[str]:
    return [line for line in shown(group_parts(quick_look())).splitlines() if line.startswith(name)]


def test_a_variant_that_failed_shows_fail_the_worst_token_and_no_time() -> None:
    in_table, complaint = lines_of("window-sort")
    assert in_table.split() == ["window-sort", "bit-exact", "3e-01", "-", "FAIL", "-", "-"]
    assert complaint.startswith("window-sort: FAIL: not bit-exact in fp32: error 0.31; worst token: item 1, frame")


def test_a_variant_that_died_was_not_measured() -> None:
    in_table, complaint = lines_of("rope-cache")
    assert in_table.split()[2:] == ["-", "-", "not", "measured", "-", "-"]
    assert complaint == "rope-cache: its process was ended by SIGKILL (out of memory?)"


def test_what_is_left_out_for_one_reason_is_told_in_one_line() -> None:
    (line,) = (each.text for each in failures(summaries(group(trial(died("rope-cache"), died("best"))), Floors())))
    assert line.startswith("rope-cache, best: its process was ended by SIGKILL")


@pytest.mark.parametrize(
    ("name", "shown"),
    [("host-grid", "1.00 [1.00, 1.00]"), ("no-einops", "0.83 [0.83, 0.83]"), ("best", "2.00 [2.00, 2.00]")],
)
def test_a_speed_up_is_the_reference_towers_time_over_the_variants(name: str, shown: str) -> None:
    assert shown in lines_of(name)[0]


def test_the_words_name_every_timed_variant_once() -> None:
    text = shown(group_parts(quick_look()))
    assert "Faster: best 2.00x, host-seqlens+window-sort+batched-windows 1.25x." in text.replace("\n", " ").replace(
        "  ", " "
    )
    assert "Slower: no-einops 0.83x." in text
    assert "Not distinguishable: host-grid." in text


def test_a_group_without_trials_says_what_was_lost() -> None:
    nothing = group(rows=(Row(name="baseline", flags=None, exactness="bit-exact"),), lost=("trial 1: killed",))
    assert "lost: trial 1: killed" in shown(group_parts(nothing))


def test_one_trial_in_two_pieces_is_a_quick_look_of_all_its_rows() -> None:
    slow = {"b": 1.2} | {f"row-{number}": 1.0 for number in range(6)}
    first, rest = looks.one_trial({"a": 0.8}), looks.one_trial(slow, number=2)
    again = looks.one_trial({"a": 0.8}, number=1, confirms=True), looks.one_trial({"b": 1.2}, number=3, confirms=True)
    whole = group(first, rest, *again, planned=2)
    found = {each.row.name: each for each in summaries(whole, Floors())}
    assert (found["a"].effect, found["b"].effect, found["row-1"].effect) == ("faster", "slower", "unclear")
    levels = {each.estimate.confidence for each in found.values() if each.estimate}
    assert levels == {1 - 0.05 / 8}
    text = " ".join(shown(group_parts(whole)).split())
    assert "This is a quick look" in text
    assert "Intervals hold for all 8 rows together." in text
    assert "One trial in 2 pieces, in which baseline took 4.0" in text
    assert "2 trials" not in text
    assert "verdict " not in text
    assert "2 trials" in shown(group_parts(whole.model_copy(update={"planned": 3})))


def test_a_lost_trial_is_missing_though_every_row_was_timed() -> None:
    made = [trial(timed("host-grid", 1.0), number=number) for number in range(3)]
    short = results(group(*made, lost=("trial 4: no time left within --budget 30s",)))
    (lost,) = (row for row in judged_groups("run", short.groups).rows if row.verdict is Verdict.MISSING)
    assert lost.reason == "lost: trial 4: no time left within --budget 30s"
    assert results_sheet(short).exit_code == Measured(short).exit_code == 6
    assert results_sheet(results(group(*made))).exit_code == Measured(results(group(*made))).exit_code == 0


def test_a_run_that_had_no_time_for_all_is_missing_what_it_names_though_every_row_has_a_vote() -> None:
    made = [trial(timed("host-grid", 1.0), number=number) for number in range(3)]
    left = VariantTrial(name="host-grid", not_measured="no time left", left=True)
    again = trial(left, number=4, confirms=True)
    short = results(group(*made, again), complete=False)
    sheet = results_sheet(short)
    assert sheet.exit_code == Measured(short).exit_code == 6
    assert "Not complete: no time was left for host-grid (1 trial)." in " ".join(shown(sheet.parts).split())
    cut = results(group(*made), complete=False)
    assert results_sheet(cut).exit_code == Measured(cut).exit_code == 6


def test_names_with_brackets_are_shown_as_they_are() -> None:
    assert "[/bold] [red]" in shown(group_parts(group(one_trial(), scenario="[/bold] [red]")))


def test_a_big_matrix_says_how_many_rows_chance_calls() -> None:
    many = group(*(trial(*(failed(f"flag-{row}") for row in range(120)), number=number) for number in range(2)))
    assert "are expected to be called by chance" in shown(results_parts(results(many)))
    assert "by chance" not in shown(results_parts(results(voted())))


def test_a_module_and_its_factory_stand_on_two_lines() -> None:
    assert broken("package.module:a_factory") == "package.module:\na_factory"
    assert broken("mine:tower") == "mine:tower"
    assert broken("aten::_flash_attention_forward") == "aten::\n_flash_attention_forward"


def test_the_level_of_an_interval_is_what_the_trials_give_and_stands_in_the_row_where_they_are_not_alike() -> None:
    made = [trial(timed("host-grid", 1.0), timed("best", 0.5), number=number) for number in range(5)]
    few = group(*made[:3])
    assert "speed-up [75 %]" in shown(group_parts(few))
    assert {row["confidence"] for row in records(part for part in group_parts(few) if isinstance(part, Table))} == {
        None,
        0.75,
    }
    assert "speed-up [94 %]" in shown(group_parts(group(*made)))
    lost = [trial(timed("host-grid", 1.0), number=number) for number in (3, 4)]
    mixed = shown(group_parts(group(*made[:3], *lost))).splitlines()
    assert any("speed-up, interval level" in line for line in mixed)
    levels = {line.split()[0]: line for line in mixed if " %" in line}
    assert "94 %" in levels["host-grid"]
    assert "75 %" in levels["best"]


def test_pieces_of_a_trial_are_one_trial() -> None:
    made = voted()
    piece = one_trial(10)  # the first of five, gone on with
    whole = made.model_copy(update={"trials": (*made.trials, piece), "planned": 10})
    assert title(made).endswith("5 trials")
    assert title(whole).endswith("5 trials")


def test_a_table_of_prompts_leaves_out_what_means_nothing_there() -> None:
    counts = Counts(aten_operations=30, attention_calls=0)
    made = trial(variants=(timed("baseline", 1.0, counts=counts), timed("mrope-numpy", 0.5, counts=counts)))
    prompts = group(made, scenario="seam mrope", point="prompt-image")
    sheet = list(group_parts(prompts))
    assert title(prompts) == "seam mrope [prompt-image]: float32, cpu, 1 thread"
    assert not {"SDPA", "qwen2.5-vl-tiny", "weights"} & set(shown(sheet).split())
    (first, *_) = records([part for part in sheet if isinstance(part, Table)])
    assert not {"model", "weights", "attention_calls"} & first.keys()
    assert first["aten_operations"] == 30


def test_the_shapes_of_another_seam_are_those_of_a_model() -> None:
    attends = Counts(aten_operations=30, attention_calls=9)
    made = trial(variants=(timed("baseline", 1.0, counts=attends), timed("sdpa-prealloc", 0.5, counts=attends)))
    seam = group(made, scenario="seam attention", point="16x16")
    assert title(seam) == "seam attention [16x16]: qwen2.5-vl-tiny, float32, cpu, 1 thread"
    assert "SDPA" in shown(group_parts(seam))
