"""The commands as a person runs them: tables of 80 columns, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from typer.testing import CliRunner

from vlbench.cli.nsys import app
from vlbench.errors import UsageError
from vlbench.export.captured import duration, plain, size

from .server import MAIN, Server
from .synthetic import Database

runner = CliRunner(env={"COLUMNS": "80"})


@pytest.fixture
def server(tmp_path: Path) -> Path:
    made = Server()
    for _ in range(4):
        made.encoder(8, syncs=True, name="vision_encoder")
        made.decode()
    made.database.range(0, 50, "a very long name of a range that does not fit [at all] " * 3, MAIN)
    made.database.add("DIAGNOSTIC_EVENT", severity=2, text="Event [x] was lost\nand more")
    made.database.add("DIAGNOSTIC_EVENT", severity=2, text="No NVTX events collected. Does the process use NVTX?")
    return made.database.save(tmp_path / "server.sqlite")


def test_a_report_reads_in_80_columns(server: Path) -> None:
    done = runner.invoke(app, ["report", str(server)])
    assert done.exit_code == 0, done.output
    assert max(len(line) for line in done.stdout.splitlines() if str(server) not in line) <= 80
    text = " ".join(done.stdout.split())
    for said in (
        "Coverage:",
        "Ranges on the GPU",
        "hidden sync: cudaMemcpyAsync",
        "Counters per iteration",
        "8 stream synchronizations inside 4 of 4 forwards: about one read-back per layer",
        "share of the GPU's busy time",
        "Event [x] was lost and more",
    ):
        assert said in text
    assert "No NVTX events collected" not in text
    assert "cudaStreamSynchroni" in text


def test_a_report_as_json(server: Path) -> None:
    done = runner.invoke(app, ["report", str(server), "--json", "--range", "vision"])
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    (advice,) = [each for each in document["encoder"]["advice"] if each["what"] == "stream synchronizations"]
    assert advice["flag"] is None
    assert len(document["encoder"]["forwards"]) == 4
    ranges = {row["range"]: row for row in document["ranges"]}
    assert ranges[":vision_encoder"]["syncs"] == 32
    assert document["stability"][0]["of"] == 3
    assert document["coverage"]["no_api_row"] == 0


def test_a_report_as_csv_has_every_row_in_full_precision(server: Path, tmp_path: Path) -> None:
    document = json.loads(runner.invoke(app, ["report", str(server), "--json"]).stdout)
    done = runner.invoke(app, ["report", str(server), "--limit", "1", "--csv", str(tmp_path / "a.csv")])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "a.csv")
    for name, key, figure in (("ranges", "range", "busy_ns"), ("kernels", "kernel", "ns")):
        found = table[table["table"] == name].set_index(key)[figure].to_dict()
        named = "name" if key == "kernel" else key
        assert found == pytest.approx({" ".join(row[named].split()): row[figure] for row in document[name]}, abs=0)


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    done = runner.invoke(app, ["report", str(Database().save(tmp_path / "a.sqlite"))])
    assert done.exit_code == 0, done.output
    assert "GPU times are not measured" in done.stdout
    assert "no forward found" in done.stdout


def test_a_chosen_iteration(server: Path) -> None:
    done = runner.invoke(app, ["report", str(server), "--iteration", ":vision_.*"])
    assert "Iterations: 4 of :vision_.*" in done.stdout
    failed = runner.invoke(app, ["report", str(server), "--iteration", "nothing"])
    assert isinstance(failed.exception, UsageError)


def test_diff_exits_with_the_verdict(server: Path, tmp_path: Path) -> None:
    same = runner.invoke(app, ["diff", str(server), str(server)])
    assert (same.exit_code, "the same in every range" in same.stdout) == (0, True)
    made = Server()
    for _ in range(4):
        made.encoder(9, syncs=True, name="vision_encoder")
    other = made.database.save(tmp_path / "other.sqlite")
    done = runner.invoke(app, ["diff", str(server), str(other)])
    assert done.exit_code == 6  # the long range vanished
    assert "Vanished" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "Vanished" not in line) <= 80
    document = json.loads(runner.invoke(app, ["diff", str(server), str(other), "--json"]).stdout)
    assert document["exit_code"] == 6
    up = {row["counter"] for row in document["counters"] if row["change"] == "up"}
    assert {"launches", "syncs"} <= up
    assert runner.invoke(app, ["diff", str(other), str(server)]).exit_code == 0


def test_diff_writes_what_every_judging_command_writes(server: Path, tmp_path: Path) -> None:
    made = Server()
    for _ in range(4):
        made.encoder(9, syncs=True, name="vision_encoder")
    other = made.database.save(tmp_path / "other.sqlite")
    files = {kind: tmp_path / f"report.{kind}" for kind in ("csv", "markdown", "junit")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", str(path))]
    done = runner.invoke(app, ["diff", str(server), str(other), "--github", *options])
    assert done.exit_code == 6
    assert "::error" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("MISSING OR NOT COMPARABLE: ")
    table = pd.read_csv(files["csv"])
    assert {"missing", "regressed"} <= set(table["verdict"])
    assert "launches" in files["markdown"].read_text()
    assert ElementTree.parse(files["junit"]).getroot().tag == "testsuites"


def test_diff_finds_a_folder_that_is_not_there_first(server: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        runner.invoke(
            app, ["diff", str(server), str(server), "--csv", str(tmp_path / "no/a.csv")], catch_exceptions=False
        )


def test_diff_of_captures_that_do_not_compare(server: Path, tmp_path: Path) -> None:
    empty = Database().save(tmp_path / "empty.sqlite")
    done = runner.invoke(app, ["diff", str(server), str(empty)])
    assert done.exit_code == 6
    assert "has no ranges" in " ".join(done.stdout.split())


def test_trace(server: Path, tmp_path: Path) -> None:
    target = tmp_path / "trace.json.gz"
    done = runner.invoke(app, ["trace", str(server), "-o", str(target)])
    assert done.exit_code == 0
    assert target.stat().st_size > 100
    assert (
        json.loads(runner.invoke(app, ["trace", str(server), "-o", str(target), "--json", "--force"]).stdout)["events"]
        > 100
    )


def test_doctor_without_nsys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLBENCH_NSYS", str(tmp_path / "none"))
    done = runner.invoke(app, ["doctor", "--json"])
    assert done.exit_code == 10
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert not checks["nsys"]["ok"]
    assert checks["scratch folder"]["ok"]
    assert "MISS nsys" in runner.invoke(app, ["doctor"]).stdout


def test_numbers_as_text() -> None:
    assert [duration(value) for value in (0, 950, 12_340, 1_165_000_000, float("nan"))] == [
        "0 ns",
        "950 ns",
        "12.3 us",
        "1.17 s",
        "-",
    ]
    assert [size(value) for value in (12, 2048, 50_950_504_448)] == ["12 B", "2 KiB", "47.5 GiB"]
    assert [plain(value) for value in (3, 3.0, 2.5)] == ["3", "3", "2.5"]
