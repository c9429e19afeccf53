"""Recorded calls read back, and one sentence for whatever is wrong with a file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.traffic.trace import Call, Trace, summary_of

HEAD = '{"vlbench_trace":1}\n'
GOOD = '{"t":0.5,"grids":[[1,4,6]],"dtype":"bfloat16","queue":2}\n'


def call(**fields: object) -> str:
    return json.dumps(json.loads(GOOD) | fields) + "\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "calls.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_calls_come_in_their_order(tmp_path: Path) -> None:
    path = write(
        tmp_path, HEAD + GOOD + call(t=0, grids=[[2, 4, 4], [1, 2, 2]], dtype=None, queue=None) + '{"missed":4}\n'
    )
    trace = Trace(path)
    assert list(trace) == [Call(0.5, ((1, 4, 6),), "bfloat16", 2), Call(0, ((2, 4, 4), (1, 2, 2)), None, None)]
    assert list(trace) == list(trace)
    assert trace.missed == 4
    assert summary_of(path) == (path, 2, 3, 24 + 32 + 4, 0.5, 4)


def test_threads_that_write_at_once_may_swap_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + call(t=9) + call(t=8.5) + call(t=8.1) + call(t=9.5))
    assert [each.seconds for each in Trace(path)] == [9, 8.5, 8.1, 9.5]
    assert summary_of(path).seconds == 9.5


WRONG = {
    "cut": (HEAD + GOOD + GOOD[:20], r"line 3: it was cut off: .*; take it away with `sed -i '\$ d' "),
    "no head": (GOOD, "line 1, field vlbench_trace: missing: these are no recorded calls; record one"),
    "other version": (
        '{"vlbench_trace":2}\n' + GOOD,
        "line 1, field vlbench_trace: the version is 2, and this vlbench reads 1",
    ),
    "version true": ('{"vlbench_trace":true}\n' + GOOD, "field vlbench_trace: the version is True"),
    "no call": (HEAD, "line 2: there is no call after the head"),
    "empty": ("", "empty: nothing was recorded"),
    "wrong field": (HEAD + call(text="hello"), "line 2, field text: unknown; fields are t, grids, dtype, queue"),
    "missing field": (HEAD + '{"t":1,"grids":[[1,2,2]],"dtype":null}\n', "line 2, field queue: missing"),
    "NaN": (HEAD + GOOD + GOOD.replace("0.5", "NaN"), "line 3: NaN is no number of JSON"),
    "infinite": (HEAD + GOOD.replace("0.5", "1e999"), "line 2, field t: inf has to be seconds from 0 to 1,000,000,000"),
    "negative time": (HEAD + call(t=-1), "line 2, field t: -1 has to be seconds from 0 to 1,000,000,000"),
    "absurd time": (HEAD + call(t=1e308), "line 2, field t: 1e.308 has to be seconds from 0 to 1,000,000,000"),
    "time of 401 digits": (HEAD + call(t=10**400), "line 2: the integer 100000000000... is above the limit of 20"),
    "backwards": (HEAD + call(t=9) + call(t=7.5), "line 3, field t: 7.5 is more than 1 s before 9, which came before"),
    "time true": (HEAD + call(t=True), "field t: True"),
    "negative grid": (
        HEAD + call(grids=[[1, 4, 6], [1, -4, 6]]),
        r"line 2, field grids\[1\]: \[1, -4, 6\] has to be above 0",
    ),
    "odd grid": (HEAD + call(grids=[[1, 3, 6]]), r"field grids\[0\]: .* with even rows and columns"),
    "fraction": (HEAD + call(grids=[[1, 4.0, 6]]), r"field grids\[0\]: .* three whole numbers"),
    "huge grid": (HEAD + call(grids=[[1, 65536, 65536]]), r"line 2, field grids\[0\]: .* of at most 4,194,304 patches"),
    "huge call": (HEAD + call(grids=[[1, 2048, 2048]] * 2), "line 2, grids is above the limit of 4,194,304 patches"),
    "huge number": (HEAD + call(grids=[[1, 2, 10**4000]]), "line 2: the integer 1000"),
    "digits": (HEAD + GOOD.replace("[1,4,6]", f"[1,4,{'9' * 5000}]"), "line 2: the integer 9999"),
    "no grids": (HEAD + call(grids=[]), r"field grids: \[\] has to be a list"),
    "dtype": (HEAD + call(dtype="\x1b[2J"), "field dtype: '.x1b.2J' has to be a name such as 'bfloat16', or null"),
    "queue": (HEAD + call(queue=-1), "field queue: -1 has to be a whole number from 0"),
    "missed": (HEAD + GOOD + '{"missed":"x"}\n', "line 3, field missed: 'x' has to be a whole number"),
    "twice": (HEAD + GOOD.replace('"t":0.5', '"t":0.5,"t":1'), "line 2: the key 't' is there twice"),
    "no object": (HEAD + "[1]\n", "line 2: it holds no object"),
    "deep": (HEAD + "[" * 100_000 + "\n", "line 2 is above the limit of 64 levels of JSON"),
    "no text": (HEAD.encode() + b"\xff\xfe\n", "line 2: not JSON in UTF-8"),
    "long line": (HEAD + " " * (2 << 20) + "\n", "line 2 is above the limit of 1,048,576 bytes"),
    "gzip": (gzip.compress((HEAD + GOOD).encode()), "packed with gzip; unpack it, and name what comes of it"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(20), "packed with zstd"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_ends_in_a_sentence_with_its_line(name: str, tmp_path: Path) -> None:
    text, told = WRONG[name]
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=told) as caught:
        list(Trace(path))
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["none.jsonl", "."])
def test_what_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="record one with `vlbench"):
        Trace(tmp_path / name)
