"""`vlbench count --capture` from its arguments to its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench
from tests.counting import capture_towers
from tests.trial.plans import ROOT, python_path

TOWERS = "tests.counting.capture_towers"
SMALL = ["--grid", "1x4x6", "--grid", "1x8x4"]


@pytest.fixture(autouse=True)
def _towers_can_be_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(ROOT))


def marked() -> list[str]:
    """The marked lines, as a site names them."""
    lines = Path(capture_towers.__file__).read_text().splitlines()
    return [f"capture_towers.py:{number}" for number, line in enumerate(lines, 1) if "# HERE:" in line]


@pytest.mark.slow(5)
def test_lines_keys_and_the_plan_handed_in(vlbench: Vlbench) -> None:
    towers = [word for name in ("ReadsBack", "handed_in", "OnDevice") for word in ("--tower", f"{TOWERS}:{name}")]
    ended = vlbench("count", "--capture", "--key", "tokens,items,dtype", *towers, *SMALL)
    assert ended.code == 3
    said = " ".join(ended.out.split())
    assert max(map(len, ended.out.splitlines())) <= 80
    for line in marked():
        assert line in ended.out
    assert "capture_towers: no 2 2 0 1 0 0 0 ReadsBack" in said
    assert "capture_towers: yes 0 0 0 0 0 0 0 OnDevice" in said
    assert f"{TOWERS}:ReadsBack, key tokens,items,dtype: it plans inside its forward: hand the plan in (1x8x12" in said
    assert f"{TOWERS}:handed_in plan=device, key tokens,items,dtype: refuted: 1x8x12 + 1x16x12 comes out" in said
    assert "their records part at tests/counting/capture_towers.py:" in said
    assert f"{TOWERS}:OnDevice, key tokens,items,dtype: not refuted: 12 replays came out as they should" in said
    assert f"{TOWERS}:ReadsBack: a capture ends on 2 lines" in said


def test_a_sound_tower_ends_with_0_and_json_has_all_of_it(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--capture", "--tower", f"{TOWERS}:OnDevice", *SMALL, "--json")
    assert ended.code == 0
    (group,) = ended.json()["groups"]
    assert [(row["name"], row["blockers"], row["key"]) for row in group["rows"]] == [(f"{TOWERS}:OnDevice", [], None)]


@pytest.mark.slow(5)
def test_a_region_is_looked_at_alone(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--capture", "--region", "block[0].attention..merger", "--with", "exact", *SMALL)
    assert ended.code == 3  # the reference tower reads bounds back inside of its blocks
    rows = {line.split()[0]: line.split()[1] for line in ended.out.splitlines() if " yes " in line or " no " in line}
    assert rows == {"baseline": "no", "exact": "yes", "plan=device": "yes"}
    assert "the second forward, from block[0].attention to merger." in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--key", "tokens"], "--key and --region ask about a capture; give --capture too"),
        (["--capture", "--key", "tokens,size"], "--key: there is no 'size'; a key is made of tokens, items, frames,"),
        (["--capture", "--region", "a.."], "--region: 'a..' must be STAGE..STAGE, such as block[0].attention..merger"),
        (["--capture", "--region", "a..b"], f"{TOWERS}:handed_in: --region: there is no stage 'a' in this forward; it"),
        (["--capture", "--where"], "--where says nothing beside --capture; leave it out"),
        (["--capture", "--cold"], "--cold says nothing beside --capture; leave it out"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(vlbench: Vlbench, options: list[str], words: str) -> None:
    ended = vlbench("count", "--tower", f"{TOWERS}:handed_in", *SMALL, *options)
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith(f"error: {words}")


def test_what_is_not_known_ends_with_6(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--capture", "--tower", "tests.counting.toy_towers:Undeclared", *SMALL)
    assert ended.code == 6
    said = " ".join(ended.out.split())
    assert "unknown operation vlbench_toys::counted_up; say what it is with vlbench.counting_device.declare" in said


@pytest.mark.slow(5)
def test_a_tower_that_reads_back_later_or_asks_nothing_ends_with_6(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--capture", "--key", "tokens,items,dtype", "--tower", f"{TOWERS}:ReadsLate", *SMALL)
    assert ended.code == 6
    assert "not known: its third forward has a read-back at" in " ".join(ended.out.split())
    ended = vlbench("count", "--capture", "--tower", f"{TOWERS}:OnHost", *SMALL)
    assert ended.code == 6
    assert "not known: there is nothing to capture" in " ".join(ended.out.split())


@pytest.mark.slow(5)
def test_in_python() -> None:
    found = package.capturable(f"{TOWERS}:handed_in", key=["lengths", "dtype"], grid=["1x4x6"], progress=False)
    table = found.table()
    assert list(table["plan"]) == ["inside", "device"]
    assert list(table["key"]) == ["not refuted", "not refuted"]
    assert found.exit_code == 0
    assert found.record.intact
    with pytest.raises(package.UsageError, match=r"^key: there is no 'size'"):
        package.capturable(key="size")
