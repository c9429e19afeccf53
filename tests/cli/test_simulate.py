"""`vlbench simulate` from its arguments to its exit status, and the same in Python."""

from __future__ import annotations

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench
from vlbench.stats.paired import Estimate
from vlbench.trial.break_even import BreakEven

FEW = ("simulate", "--requests", 60)


def test_a_row_per_point_and_the_assumption_in_words(vlbench: Vlbench) -> None:
    ended = vlbench(*FEW, "--turns", 3)
    assert ended.code == 0
    assert "requests=16" in ended.out
    assert "which images come again it does not say (--turns)" in " ".join(ended.out.split())
    assert max(map(len, ended.out.splitlines())) <= 80


def test_json_and_python_say_the_same(vlbench: Vlbench) -> None:
    rows = vlbench(*FEW, "--turns", 3, "--json").json()
    found = package.simulate(requests=60, turns=3.0)
    assert rows == found.table().to_dict("records")
    assert [row["point"] for row in rows] == [f"requests={n}" for n in (1, 4, 16)]
    assert all(row["requests"] == 60 for row in rows)
    assert found.exit_code == 0
    assert set(found.record) == {row["point"] for row in rows}


def test_finer_sizes_pad_less(vlbench: Vlbench) -> None:
    coarse, fine = (
        vlbench(*FEW, "--budgets", sizes, "--json").json()[0]["padding_share"]
        for sizes in ("8192", "64,128,256,512,1024,1280,8192")
    )
    assert fine < coarse


@pytest.mark.slow
def test_memory_in_tokens_of_the_kv_cache(vlbench: Vlbench) -> None:
    rows = vlbench(*FEW, "--memory-at", 1024, "--turns", 2, "--json").json()
    memory = {row["what"]: row for row in rows if row["table"] == "memory"}
    assert list(memory) == [
        "a forward of 1,024 tokens",
        "the cache, of at most 1GiB",
        "graphs of a few sizes",
        "in all",
    ]
    *parts, whole = memory.values()
    assert whole["bytes"] == sum(part["bytes"] for part in parts)
    assert all(part["bytes"] > 0 for part in parts)
    assert whole["kv_tokens"] == -(-whole["bytes"] // 57_344)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--scenario", "video"), "--scenario 'video' draws no requests; name one with a [mix], such as serving-mix"),
        (("--cache", "much"), "--cache 'much' is not a size; write it as 4GiB or 500MB"),
        (("--budgets", "64,x"), "--budgets '64,x': write tokens with commas, such as 64,256,1024"),
        (("--budgets", "9" * 20), "--budgets: 99999999999999999999 tokens are more than 1,000,000; give at most that"),
        (("--kv-bytes", "9"), "--kv-bytes says nothing without --memory-at; leave it out"),
        (("--budgets", "0"), "--budgets: budgets are (0,); give multiples of 4 patches, a token each"),
        (("--model", "qwen3.5-9b", "--memory-at", "64"), "--memory-at: how large the KV cache of qwen3.5-9b is"),
        (("--requests", "2000000"), "--requests: 2000000 is not a whole number from 1 to 1e+06; give one"),
    ],
)
def test_what_cannot_be_simulated_is_refused(vlbench: Vlbench, arguments: tuple[str, ...], sentence: str) -> None:
    assert vlbench("simulate", *arguments).sentence.startswith(sentence)


def test_in_python_numbers_are_numbers() -> None:
    with pytest.raises(package.UsageError, match=r"^requests: '5' is not a whole number"):
        package.simulate(requests="5")  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_break_even_of_a_graph_is_timed_and_on_a_cpu_there_is_none(vlbench: Vlbench) -> None:
    """What is recorded there runs as it would without, and is copied in and out."""
    rows = vlbench(*FEW, "--break-even", "--json").json()
    (timed,) = (row for row in rows if row["table"] == "break-even")
    assert (timed["device"], timed["model"]) == ("cpu", "qwen2.5-vl-tiny")
    assert timed["recording_ms"] > 0
    assert timed["replay_ms"] > 0.9 * timed["forward_ms"] > 0
    assert timed["pays_after"] is None


def test_a_graph_has_paid_once_its_replays_saved_what_recording_cost() -> None:
    def paid(ratio: float, high: float) -> float | None:
        return BreakEven(
            "tiny", "cuda", 12.0, 8.0, 8.0 * ratio, Estimate(ratio, ratio - 0.1, high, 30, 0.95)
        ).pays_after

    assert paid(0.25, 0.3) == 2.0
    assert paid(0.98, 1.0) is None
    assert paid(1.1, 1.2) is None


def test_calls_are_shared_out_over_more_ranks_than_there_are(vlbench: Vlbench) -> None:
    rows = [row for row in vlbench(*FEW, "--ranks", 4, "--json").json() if row["table"] == "ranks"]
    assert [row["way"] for row in rows] == ["dp", "dp by patches", "dp in turn", "tp"] * 3
    assert {row["ranks"] for row in rows} == {4}
    by = {(row["point"], row["way"]): row for row in rows}
    for point in ("requests=4", "requests=16"):
        assert 1 <= by[point, "dp"]["balance"] < by[point, "dp in turn"]["balance"]
        assert by[point, "dp"]["received_bytes"] < by[point, "tp"]["received_bytes"] / 20
    assert all(row["idle_share"] == pytest.approx(1 - 1 / row["balance"]) for row in rows)


def test_a_tower_that_cannot_be_split_says_why_within_80_columns(vlbench: Vlbench) -> None:
    out = vlbench(*FEW, "--ranks", 8).out
    assert "tp: not over 8 ranks: 3,420 columns of its MLP make no 8 equal parts." in out
    assert max(map(len, out.splitlines())) <= 80
    assert vlbench("simulate", "--ranks", "0").code == 2
