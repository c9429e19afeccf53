from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.record.records import WRONG, failed, group, timed, trial
from vlbench.api.choosing import Screened, choose, compare, confirm_rows, found_flags, names_by_size, said_of
from vlbench.api.counting_flags import Counting
from vlbench.implementations.config import MODELS
from vlbench.matrix.candidates import candidates
from vlbench.record.schema import CellGroup, Row, VariantTrial

CONFIG = MODELS["qwen2.5-vl-tiny"]
TRIED = candidates(CONFIG, "cpu")


def made(
    factors: Mapping[str, float], reference: str = "best", wrong: str = "", missing: Sequence[str] = ()
) -> CellGroup:
    """Two votes of five trials in which each row took so many times as long as the reference of its group."""

    def row(name: str, factor: float) -> VariantTrial:
        if name in missing:
            return timed(name, 1.0, timings={}, not_measured="no time was given to measure", left=True)
        return failed(name) if name == wrong else timed(name, 0.8 * factor)

    trials = [
        trial(timed(reference, 0.8), *(row(name, factor) for name, factor in factors.items()), number=n, confirms=n > 4)
        for n in range(10)
    ]
    found = group(*trials)
    others = (Row(name=name, flags=(), exactness="bit-exact", reference=reference) for name in factors)
    return found.model_copy(update={"rows": (*found.rows[:2], *others)})


def screened(changes: Mapping[str, float] | None = None, wrong: str = "", missing: Sequence[str] = ()) -> Screened:
    rows = {row.name: 1.0 for row in TRIED.changed.values()} | dict(changes or {})
    pairs = {row.name: rows[f"without {one}"] * rows[f"without {two}"] for (one, two), row in TRIED.together.items()}
    return Screened(TRIED, None, made(pairs | rows, wrong=wrong, missing=missing))


def test_a_flag_helps_where_the_set_is_slower_without_it_and_another_where_it_is_faster_with_it() -> None:
    changes = {
        "without patch-matmul": 1.25,
        "without no-einops": 0.8,
        "with rope-shared": 0.5,
        "with sdpa-prealloc": 2.0,
    }
    found = {each.flag: each for each in found_flags(screened(changes, wrong="without host-grid"))}
    told = {flag: (each.effect, each.by) for flag, each in found.items()}
    assert told["patch-matmul"] == told["rope-shared"] == ("helps", "time")
    assert told["no-einops"] == told["sdpa-prealloc"] == ("hurts", "time")
    assert told["strided-qkv"] == ("no effect", "time")
    assert told["pinned-h2d"] == ("not applicable", "-")
    assert told["fp8-linear"] == ("not tried", "-")
    assert told["host-grid"] == ("inaccurate", "-")
    assert found["host-grid"].why == WRONG.reason
    untimed = screened(missing=("without strided-qkv", "without no-einops"))
    untimed.counting = Counting(TRIED, "somewhere", {"strided-qkv": {"device_operations": -32}})
    counts = {each.flag: (each.effect, each.by, each.why) for each in found_flags(untimed)}
    assert counts["strided-qkv"] == ("fewer", "counts", "no time was given to measure")
    assert counts["no-einops"] == ("not tried", "-", "no time was given to measure")
    worth = {flag: each.worth.ratio for flag, each in found.items() if each.worth}
    assert worth["patch-matmul"] == pytest.approx(1.25)
    assert worth["rope-shared"] == pytest.approx(2.0)
    assert (found["patch-matmul"].worth.helping, found["patch-matmul"].worth.trials) == (5, 5)  # type: ignore[union-attr]


def test_sets_have_what_is_worth_something_and_what_helps_is_put_in() -> None:
    given = screened({"without patch-matmul": 1.25, "without strided-qkv": 1.006, "without rope-packed": 1.008})
    assert [row.flags for row in given.sets()] == [
        ("patch-matmul", "rope-packed"),
        ("patch-matmul", "rope-packed", "strided-qkv"),  # leaves out only what costs nothing
    ]
    with_more = screened({"without patch-matmul": 1.25, "with argsort-inverse": 0.5})
    assert with_more.flags() == TRIED.flags - {"host-inverse"} | {"argsort-inverse"}
    assert [row.flags for row in with_more.sets()] == [("argsort-inverse", "patch-matmul")]
    assert screened(dict.fromkeys((f"without {flag}" for flag in TRIED.flags), 1.5)).sets() == []


def test_two_flags_that_cost_nothing_together_go_as_one() -> None:
    costs = {f"without {flag}": 1.5 for flag in TRIED.flags} | {"without batched-windows": 1.01}
    given = screened(costs | {"without batched-windows and window-sort": 0.99})
    assert [set(row.flags or ()) for row in given.sets()] == [TRIED.flags - {"batched-windows", "window-sort"}]


def test_two_sets_of_one_size_have_names_of_their_own() -> None:
    assert names_by_size(["ab", "cd", "abc"]) == ["2 flags A", "2 flags B", "3 flags"]


def test_a_set_is_recommended_only_where_fresh_trials_put_it_within_one_per_cent() -> None:
    given = screened({"without patch-matmul": 1.25})
    (one,) = (row.name for row in given.sets())
    assert [row.name for row in confirm_rows(given)][:4] == ["baseline", "best", one, "no-flags"]
    good, bad = made({one: 1.005, "no-flags": 1.3}), made({one: 1.02, "no-flags": 1.3})
    found = choose(given, good)
    assert (found.flags, found.name, found.confirmed) == ({"patch-matmul"}, one, True)
    assert "10 fresh" not in found.why
    assert "5 fresh trials say +0.5 % to +0.5 % of best's time" in found.why
    kept = choose(given, bad)
    assert (kept.flags, kept.name, kept.confirmed) == (TRIED.flags, "best", True)
    verdicts = {each.name: (each.verdict, round(each.worth.ratio, 3)) for each in compare(good, found)}
    assert verdicts["no-flags"] == ("regressed", 1.294)
    assert verdicts["best"] == ("same", 0.995)
    said = " ".join(said_of(found, given.tried, found_flags(given), compare(good, found), "best"))
    assert said.startswith("It is best without batched-windows, ")
    assert "Nothing is to be gained" not in said


@pytest.mark.parametrize(("trials", "confirmed"), [(1, False), (3, False), (4, True)])
def test_a_few_fresh_trials_confirm_nothing(trials: int, confirmed: bool) -> None:
    given = screened({"without patch-matmul": 1.25})
    (one,) = (row.name for row in given.sets())
    fresh = made({one: 1.0, "no-flags": 1.3})
    found = choose(given, fresh.model_copy(update={"trials": fresh.trials[:trials]}))
    assert (found.name, found.confirmed) == (one, confirmed)


def test_where_nothing_helps_it_is_said_that_nothing_is_to_be_gained() -> None:
    given = screened()
    (none,) = (row.name for row in given.sets())
    fresh = made({none: 1.0, "no-flags": 1.0})
    found = choose(given, fresh)
    assert (none, found.flags) == ("0 flags", set())
    said = " ".join(said_of(found, given.tried, found_flags(given), compare(fresh, found), "best"))
    assert "Nothing is to be gained here beyond rounding: no flag is shown to help, and no-flags takes 1.00" in said
    for fresh in (made({none: 1.0, "no-flags": 1.3}), made({none: 1.0})):
        found = choose(given, fresh)
        assert "Nothing is to be gained" not in " ".join(
            said_of(found, given.tried, found_flags(given), compare(fresh, found), "best")
        )


def test_without_fresh_trials_of_it_the_whole_stays_and_is_not_confirmed() -> None:
    given = screened({"without patch-matmul": 1.25})
    untimed = made({"no-flags": 1.0}, wrong="best").model_copy(update={"trials": ()})
    found = choose(given, untimed)
    assert (found.flags, found.confirmed, found.chosen) == (TRIED.flags, False, False)


def test_where_no_flag_was_timed_nothing_was_chosen() -> None:
    given = screened(missing=[f"without {flag}" for flag in TRIED.flags])
    found = choose(given, made({"no-flags": 1.3}))
    assert (found.flags, found.confirmed, found.chosen) == (TRIED.flags, False, False)
    assert (
        next(iter(said_of(found, given.tried, found_flags(given), (), "best")))
        == "This is best as it was: no flag of it was timed."
    )


def test_what_there_was_no_time_for_is_not_called_no_better() -> None:
    given = screened({"without patch-matmul": 1.25})
    (one,) = (row.name for row in given.sets())
    found = choose(given, made({one: 1.0, "no-flags": 1.3}, missing=[one]))
    assert (found.flags, found.confirmed, found.chosen) == (TRIED.flags, False, False)
    assert found.why == "there was no time to confirm another"

    costs = {f"without {flag}": 1.5 for flag in TRIED.flags}
    given = screened(costs, missing=["without no-einops"])
    assert given.sets() == []
    found = choose(given, made({"no-flags": 1.0}))
    assert (found.chosen, found.confirmed) == (True, False)
    assert found.why == "no flag of it that was timed can go within 1 %"
    told = " ".join(said_of(found, TRIED, found_flags(given), compare(made({"no-flags": 1.0}), found), "best"))
    assert "Nothing is to be gained" not in told


def test_the_budget_that_would_do_follows_from_the_rows_that_were_left() -> None:
    given = screened()
    given.budget = 300.0
    assert given.needs() is None
    rows = [row.name for row in TRIED.changed.values()]
    given = screened(missing=rows[: len(rows) // 2])
    given.budget = 300.0
    needed = given.needs()
    assert needed
    assert 450 < needed < 600


def test_flags_that_are_predicted_to_matter_most_are_timed_first() -> None:
    first, *_, last = TRIED.changed
    given = Counting(TRIED, "", {}, {last: {"h100": (0.2, 0.5)}, first: {"h100": (1.5, 1.6)}})
    rows = [row.name for row in TRIED.by_weight(given.weights())]
    assert rows[:4] == ["baseline", "best", TRIED.changed[last].name, TRIED.changed[first].name]
    assert sorted(rows) == sorted(row.name for row in TRIED.rows)


def test_without_times_counts_decide_and_a_flag_by_which_a_counter_gets_worse_goes() -> None:
    tried = candidates(MODELS["qwen2.5-vl-7b"], "cuda")
    moved = {flag: dict[str, int]() for flag in tried.changed}
    moved |= {
        "host-grid": {"host_syncs": -9},
        "no-einops": {"uploads": 1},
        "host-inverse": {"uploads": 1, "host_syncs": -2},
    }
    predicted = {
        "strided-qkv": {"h100": (1.02, 1.1), "l40s": (1.011, 1.2)},
        "rope-shared": {"h100": (1.02, 1.1), "l40s": (0.99, 1.2)},
        "rope-table": {"h100": (1.0, 1.0)},
        "varlen": {"h100": (0.8, 0.985)},
        "no-einops": {"h100": (1.5, 1.6)},
    }
    given = Screened(tried, Counting(tried, "somewhere", moved, predicted))
    told = {each.flag: (each.effect, each.by) for each in found_flags(given)}
    assert told["host-grid"] == ("fewer", "counts")
    assert told["no-einops"] == ("more", "counts")
    assert told["host-inverse"] == ("not told", "counts")
    assert told["rope-packed"] == ("not told", "counts")  # no counter moves, which says nothing of host time
    assert told["strided-qkv"] == ("helps", "predicted")
    assert told["varlen"] == ("hurts", "predicted")
    assert told["rope-shared"] == told["rope-table"] == ("not told", "counts")
    found = choose(given, None)
    assert (found.flags, found.confirmed) == (tried.flags - {"no-einops"}, None)  # whatever is predicted of it


def test_a_prediction_gives_no_verdict_to_what_was_timed() -> None:
    given = screened({"without patch-matmul": 0.8})
    given.counting = Counting(TRIED, "somewhere", {"patch-matmul": {}}, {"patch-matmul": {"h100": (2.0, 3.0)}})
    (found,) = (each for each in found_flags(given) if each.flag == "patch-matmul")
    assert (found.effect, found.by, found.predicted) == ("hurts", "time", {"h100": (2.0, 3.0)})
