"""`vlbench atlas --over` on wheels of a few lines, which pip installs from a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.surveying.toy import LIST, WAITING, listed, wheel

WORDS = ("atlas", "toy_towers", "--list", LIST, "--grid", "1x4x6", "--over")
FILE = "toy_towers/models/good/modeling_good.py"
NOT_WAITING = "x = layer(x)"


@pytest.fixture
def index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its index, and a list of one tower."""
    found = folder / "index"
    found.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(found))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "kept"))
    (folder / LIST).write_text(listed("good"))
    return found


@pytest.mark.slow(8)
def test_the_release_and_the_line_are_named_and_what_fails_as_well(vlbench: Vlbench, index: Path) -> None:
    wheel(index, "1.0.3", good=NOT_WAITING)
    wheel(index, "1.1.0", good=WAITING)
    wheel(index, "1.2.0", "raise ImportError('it needs torch 3')", good=WAITING)
    (index.parent / "stored").mkdir()
    ended = vlbench(*WORDS, "1.0..1.2", "--out", "stored", "--json")
    assert ended.code == 6, ended
    rows = {row["cell"]: row for row in ended.json()["rows"]}
    assert "ImportError: it needs torch 3" in rows["toy_towers 1.2.0"]["reason"]
    moved = rows["1.1.0: good, grid on the device"]
    assert moved["verdict"] == "regressed"
    assert "host_syncs rose from 0 to 3" in moved["reason"]
    assert f"came: {FILE}:" in moved["reason"]
    assert sorted(each.name for each in (index.parent / "stored").iterdir()) == [
        "toy_towers-1.0.3.json",
        "toy_towers-1.1.0.json",
    ]
    kept = next((index.parent / "kept").rglob("toy_towers-1.0.3"))
    assert "there is a file already; --force" in vlbench(*WORDS, "1.0..1.1", "--out", "stored").sentence
    (index / "toy_towers-1.0.3-py3-none-any.whl").write_bytes(b"no wheel")  # it is not needed any more
    again = vlbench(*WORDS, "1.0..1.1", "--json")
    assert again.code == 0, again
    assert f"1.0.3: there before, {kept}" in again.json()["notes"]
    assert json.loads((index.parent / "stored/toy_towers-1.0.3.json").read_text())["version"] == "1.0.3"


@pytest.mark.slow(3)
def test_releases_that_cannot_be_had_are_told_in_one_sentence(vlbench: Vlbench, index: Path) -> None:
    (index / "toy_towers-1.0.0-py3-none-any.whl").write_bytes(b"no wheel")
    assert "no folder; with --over name one" in vlbench(*WORDS, "1.0..1.0", "--out", "none").sentence
    ended = vlbench(*WORDS, "1.0..1.0")
    *said, last = ended.err.splitlines()
    assert (ended.code, len(said)) == (2, 2)
    assert last.startswith("error: --over 1.0..1.0: no release could be counted: pip install toy_towers==1.0.0: ")
    assert "the index has no release 3.0; its newest are 1.0.0" in vlbench(*WORDS, "1.0..3.0").sentence
