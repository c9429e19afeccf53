"""Small hostile files, through every reader: one sentence that names the file, at once."""

from __future__ import annotations

import gzip
import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from vlbench.api.defaults import defaults
from vlbench.cli import main
from vlbench.comparing.contents import contents_of
from vlbench.comparing.runs import read_sides
from vlbench.errors import UsageError
from vlbench.nsys import load
from vlbench.nsys.frames import copy_kinds
from vlbench.readers import read
from vlbench.record.baseline_files import load_baseline
from vlbench.record.calibration import read_calibration
from vlbench.record.files import read_results
from vlbench.record.journal import Journal
from vlbench.towers.models import checkpoint_model
from vlbench.untrusted.checkpoints import check_checkpoint
from vlbench.untrusted.console import SafeConsole
from vlbench.untrusted.limits import Limit
from vlbench.workload.library import load_scenario
from vlbench.workload.mix import read_distribution
from vlbench.workload.photos import open_picture

Reader = Callable[[Path], Any]
SECONDS = 5
DEEP = 100_000


def _checkpoint(path: Path) -> None:
    folder = path.with_name(f"{path.name}-folder")
    folder.mkdir()
    (folder / "model.safetensors.index.json").symlink_to(path)
    check_checkpoint(folder)


def _shard(path: Path) -> None:
    folder = path.with_name(f"{path.name}-folder")
    folder.mkdir()
    (folder / "model.safetensors").symlink_to(path)
    check_checkpoint(folder)


JSON: dict[str, Reader] = {
    "results": read_results,
    "baseline": load_baseline,
    "calibration": read_calibration,
    "side of a diff": lambda path: contents_of(str(path)),
    "foreign result": lambda path: read(str(path)),
    "distribution": lambda path: read_distribution(str(path)),
    "trace": load,
    "checkpoint's index": _checkpoint,
}
"""Those that take one JSON document."""
READERS: dict[str, Reader] = JSON | {
    "scenario": lambda path: load_scenario(str(path)),
    "journal": lambda path: Journal(path, "a plan", resume=True),
    "picture": open_picture,
    "files of judge": lambda path: read_sides([str(path)], [str(path)]),
    "weights": _shard,
}


@pytest.fixture(params=READERS.values(), ids=READERS)
def reader(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=JSON.values(), ids=JSON)
def json_reader(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    begun = time.perf_counter()
    yield
    assert time.perf_counter() - begun < SECONDS


def refusal(reader: Reader, path: Path) -> str:
    """The one sentence."""
    with pytest.raises(UsageError) as caught:
        reader(path)
    sentence = str(caught.value)
    assert path.name in sentence
    assert "\n" not in sentence
    assert len(sentence) < 1_000
    return sentence


def test_what_an_error_quotes_is_shown_and_not_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"kind": "baseline", "schema_version": "\x1b[2J\n::error::pwned \x9b31m"}))
    monkeypatch.setattr("sys.argv", ["vlbench", "baseline", "show", str(path)])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert "pwned" in said
    assert not {"\x1b", "\x9b"} & set(said)
    assert "::error" not in said


def test_a_pipe_is_not_waited_for(tmp_path: Path, reader: Reader) -> None:
    path = tmp_path / "pipe.toml"
    os.mkfifo(path)
    assert "a pipe and not a regular file" in refusal(reader, path)


def test_a_device_is_not_read(tmp_path: Path, reader: Reader) -> None:
    path = tmp_path / "zero.toml"
    path.symlink_to("/dev/zero")
    assert "a device and not a regular file" in refusal(reader, path)


def test_a_socket_is_not_opened(tmp_path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.toml")
    assert "a socket and not a regular file" in refusal(reader, tmp_path / "socket.toml")


def test_a_file_above_its_limit_is_not_read(tmp_path: Path, reader: Reader) -> None:
    path = tmp_path / "large.toml"
    with path.open("wb") as file:
        file.truncate(2 * Limit.WEIGHTS.most)  # it holds nothing and takes no room
    assert "is above the limit of" in refusal(reader, path)


@pytest.mark.parametrize("unit", ["[", '{"a":', '{"traceEvents":['])
@pytest.mark.parametrize("depth", [Limit.DEPTH.most + 1, DEEP])
def test_json_a_hundred_thousand_levels_deep(tmp_path: Path, json_reader: Reader, unit: str, depth: int) -> None:
    path = tmp_path / "deep.json"
    opening = unit * depth
    closing = "".join("]" if each == "[" else "}" for each in reversed(opening) if each in "[{")
    path.write_text('{"traceEvents":' + opening + "0" + closing + "}")
    if len(opening) < Limit.SCENARIO.most:
        assert "levels of JSON" in refusal(json_reader, path)
    else:
        assert "is above the limit of" in refusal(json_reader, path)


def test_brackets_in_a_string_are_no_levels(tmp_path: Path) -> None:
    path = tmp_path / "name.json"
    path.write_text('{"groups": "' + r"\\\"[[{" * 1_000 + '", "schema_version": 0}')
    assert "schema_version is 0" in refusal(read_results, path)


def test_an_integer_of_five_thousand_digits(tmp_path: Path, json_reader: Reader) -> None:
    path = tmp_path / "digits.json"
    path.write_text('{"traceEvents": [' + "9" * 5_000 + "]}")
    assert "digits of an integer" in refusal(json_reader, path)


@pytest.mark.parametrize("content", [b"[1,", b"\xff\xfe\x00", b"{}", b"[]", b"[7]", b"NaN", b'"text"', b"\0" * 100])
def test_what_is_none_of_its_kind(tmp_path: Path, reader: Reader, content: bytes) -> None:
    path = tmp_path / "other.toml"
    path.write_bytes(content)
    asked_later = [READERS[name] for name in ("checkpoint's index", "side of a diff", "weights")]
    with suppress(UsageError) if reader in asked_later else pytest.raises(UsageError, match=path.name):
        reader(path)


def test_a_name_with_a_null_character(reader: Reader, tmp_path: Path) -> None:
    if reader in (READERS["checkpoint's index"], READERS["weights"], READERS["side of a diff"]):
        pytest.skip("it cannot make such a file, or takes it for a pattern")
    with pytest.raises(UsageError):
        reader(Path("a\0b.toml"))


@pytest.mark.parametrize("packed", [4_000_000, 60_000])
def test_a_gzip_file_that_unpacks_to_far_more(tmp_path: Path, packed: int) -> None:
    path = tmp_path / "bomb.json.gz"
    megabyte = gzip.compress(b" " * (1 << 20))
    path.write_bytes(gzip.compress(b"[") + megabyte * (packed // len(megabyte)))
    assert "unpacks to more than" in refusal(load, path)


def test_a_gzip_file_of_several_parts_is_one(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(b'{"traceEvents"') + gzip.compress(b": []}") + b"\0" * 7)
    assert "no CUDA call" in refusal(load, path)


def test_a_cut_gzip_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(b'{"traceEvents": []}')[:-4])
    assert "damaged" in refusal(load, path)


@pytest.mark.parametrize(
    "head", ['"deviceProperties": ["x"], ', '"deviceProperties": 7, ', '"deviceProperties": {"name": []}, ', ""]
)
@pytest.mark.parametrize("event", ['{"args": [1]}', '{"args": "x"}', '{"ts": null}', '{"dur": {}}'])
def test_a_trace_with_fields_of_other_kinds(tmp_path: Path, head: str, event: str) -> None:
    path = tmp_path / "trace.json"
    whole = '{"ph": "X", "cat": "kernel", "name": "k", "ts": 1, ' + event[1:]
    path.write_text("{" + head + '"traceEvents": [' + whole + "]}")
    assert "unexpected form" in refusal(load, path)


def test_a_copy_whose_name_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    copies = [
        {"ph": "X", "cat": "gpu_memcpy", "name": name, "ts": 1} for name in ("odd", "Memcpy HtoD (Host -> Device)")
    ]
    path.write_text(json.dumps({"traceEvents": copies}))
    assert list(copy_kinds(load(path).gpu_ops)) == ["unknown unknown>unknown", "HtoD host>device"]


def test_device_properties_of_another_kind_are_no_gpus(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text('{"deviceProperties": ["x"], "traceEvents": [{"ph": "X", "cat": "kernel", "name": "k", "ts": 1}]}')
    assert load(path).gpus == ()


def database(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in ("CREATE TABLE StringIds (id INTEGER, value TEXT)", *statements):
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS start, x AS end FROM c"


@pytest.mark.parametrize(
    "statements",
    [
        [f"CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS {ENDLESS}"],
        [f"CREATE VIEW other AS {ENDLESS}"],
        ["CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, end AS (length(zeroblob(100000000))))"],
        ["CREATE TABLE other (a, b GENERATED ALWAYS AS (printf('%.*c', 100000000, 'x')) VIRTUAL)"],
        ["CREATE TRIGGER t AFTER INSERT ON StringIds BEGIN DELETE FROM StringIds; END"],
        [
            "PRAGMA writable_schema = ON",
            f"INSERT INTO sqlite_master VALUES ('table', 'n', 'n', 0, 'CREATE VIEW n AS {ENDLESS}')",
        ],
    ],
    ids=["view", "other view", "computed column", "other computed column", "trigger", "view that says it is a table"],
)
def test_sqlite_runs_nothing_that_its_author_wrote(tmp_path: Path, statements: list[str]) -> None:
    sentence = refusal(load, database(tmp_path / "a.sqlite", *statements))
    assert "is no plain table" in sentence or "malformed database schema" in sentence


@pytest.mark.parametrize(
    "statements",
    [
        [
            "CREATE TABLE NVTX_EVENTS (start, end, eventType, text)",
            "INSERT INTO NVTX_EVENTS VALUES (0, 1, 59, x'00ff')",
        ],
        ["INSERT INTO StringIds VALUES (1, x'00ff')"],
        ["CREATE TABLE TARGET_INFO_GPU (id, name)", "INSERT INTO TARGET_INFO_GPU VALUES (0, x'00')"],
        ["CREATE TABLE META_DATA_EXPORT (name, value)", "INSERT INTO META_DATA_EXPORT VALUES ('a', x'00')"],
    ],
    ids=["range", "string", "gpu", "meta"],
)
def test_a_blob_in_place_of_a_text(tmp_path: Path, statements: list[str]) -> None:
    path = database(tmp_path / "a.sqlite", "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, end)", *statements)
    assert "holds bytes where a text belongs" in refusal(load, path)


def test_sqlite_takes_no_more_steps_than_its_size_explains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vlbench.untrusted import sqlite

    path = database(tmp_path / "a.sqlite")
    monkeypatch.setattr(sqlite, "_STEPS_OF_ANY", 2)
    with (
        pytest.raises(UsageError, match="more steps or time than its size explains"),
        sqlite.opened(path, sqlite_kind()) as it,
    ):
        it.execute(f"SELECT max(start) FROM ({ENDLESS})").fetchone()


LONG = {"_STEPS_OF_ANY": 10**12, "_SECONDS_OF_ANY": 0.2}


@pytest.mark.parametrize("budget", [{"_STEPS_OF_ANY": 10**5}, LONG], ids=["steps", "time"])
def test_pages_of_sqlite_that_lead_to_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: dict[str, float]
) -> None:
    """Of a tree of pages every branch is led to one below: a few pages hold more rows than anyone can count."""
    from vlbench.untrusted import sqlite

    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("CREATE TABLE StringIds (id INTEGER, value TEXT)")
        connection.executemany("INSERT INTO StringIds VALUES (?, '')", [(each,) for each in range(12_000)])
    connection.close()
    data = bytearray(path.read_bytes())
    pages = [at for at in range(512, len(data), 512) if data[at] == 5]  # 5: of branches
    leaf = next(at for at in range(512, len(data), 512) if data[at] == 13) // 512 + 1
    root, *others = sorted(pages)
    chain = [root, *others[:5]]
    for at, below in zip(chain, [*(each // 512 + 1 for each in chain[1:]), leaf], strict=True):
        for cell in range(int.from_bytes(data[at + 3 : at + 5])):
            place = at + int.from_bytes(data[at + 12 + 2 * cell : at + 14 + 2 * cell])
            data[place : place + 4] = below.to_bytes(4)
        data[at + 8 : at + 12] = below.to_bytes(4)
    path.write_bytes(data)
    for name, value in budget.items():
        monkeypatch.setattr(sqlite, name, value)
    assert "more steps or time than its size explains" in refusal(load, path)


def sqlite_kind() -> Any:
    from vlbench.nsys.tables import EXPORT

    return EXPORT


TWICE = '{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}, "request_throughput": 1, "groups": []}'


@pytest.mark.parametrize("name", [each for each in JSON if each != "trace"])
def test_a_key_that_is_there_twice(tmp_path: Path, name: str) -> None:
    path = tmp_path / "twice.json"
    path.write_text(TWICE)
    assert "the key 'a' is there twice" in refusal(JSON[name], path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "model.safetensors"])
def test_a_checkpoint_of_pipes_and_links_to_nowhere(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("gone")
    with pytest.raises(UsageError, match=rf"{name}: no such file"):
        checkpoint_model(tmp_path, None)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match=rf"{name}: a pipe and not a regular file"):
        checkpoint_model(tmp_path, None)


@pytest.mark.parametrize("field", ["depth", "num_heads", "hidden_size", "window_size"])
def test_a_checkpoint_that_claims_a_tower_without_end(tmp_path: Path, field: str) -> None:
    config = {"model_type": "qwen2_5_vl", "vision_config": {field: 10**9, "fullatt_block_indexes": []}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=rf"config\.json: .*{field} is 1000000000"):
        checkpoint_model(tmp_path, None)


def test_a_tower_of_a_million_blocks_is_not_built(tmp_path: Path) -> None:
    config = {"model_type": "qwen2_5_vl", "vision_config": {"depth": 1_000_000, "fullatt_block_indexes": [7]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="depth is 1000000; give a whole number from 1 to 1,000"):
        checkpoint_model(tmp_path, None)


def test_a_project_file_that_is_none_is_not_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pyproject.toml")
    with pytest.raises(UsageError, match="a pipe and not a regular file"):
        defaults(tmp_path)


def test_more_samples_than_anyone_takes(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    path.write_text("1\n" * (Limit.VALUES.most + 1))
    assert "is above the limit of 1,000,000 values" in refusal(lambda each: read(str(each)), path)


def test_a_name_of_a_file_is_no_markup_while_it_is_worked_on() -> None:
    out = StringIO()
    with SafeConsole(file=out, force_terminal=True).status("running [/x] [red]\x1b]0;a\x07"):
        pass
    assert "[/x] [red]" in out.getvalue()
    assert "\x1b]0" not in out.getvalue()
