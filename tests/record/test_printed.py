"""What our commands print is told for what it is by whatever reads files, and never called broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vlbench
from tests.record.baselines import baseline, cell
from vlbench.comparing.contents import contents_of
from vlbench.errors import UsageError
from vlbench.readers import read
from vlbench.record.baseline_files import load_baseline
from vlbench.record.files import read_results

SHOWN = {"unfit": None, **baseline(cell()).model_dump(mode="json")}
PRINTED = {
    "baseline show": (SHOWN, "`vlbench baseline show --json`; give the baseline file that it showed"),
    "judge": ({"schema": 1, "floors": {}, "rows": [], "exit_code": 0}, "`vlbench diff A B --json` has what is read"),
    "profile": ({"variant": "best", "batch": "", "forwards": 3}, "`vlbench profile` measures it again"),
    "verify": ([{"name": "best", "accuracy": {}, "counts": None}], "`vlbench verify` checks it again"),
    "history": ([{"source": "a", "versions": [], "series": []}], "`vlbench report --history` takes its files"),
    "simulate": ([{"cache_hit_rate": 0.5, "forwards": 3}], "`vlbench simulate` shows it again"),
    "capture": ({"groups": [], "profile": "sm_90", "region": None}, "`vlbench count --capture` looks again"),
}


@pytest.mark.parametrize("kind", PRINTED)
@pytest.mark.parametrize("reader", [vlbench.load, read_results, load_baseline, contents_of, read])
def test_it_says_what_it_is_and_what_reads_it(tmp_path: Path, kind: str, reader: object) -> None:
    content, words = PRINTED[kind]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    if isinstance(content, list) and reader in (contents_of, read):
        return  # they read objects, and a list is none of theirs
    with pytest.raises(UsageError) as caught:
        reader(path if reader is not read and reader is not contents_of else str(path))  # type: ignore[operator]
    assert str(caught.value).startswith(f"{path}: is what came of ")
    assert words in str(caught.value)


def test_counts_are_told_from_results(tmp_path: Path) -> None:
    (tmp_path / "count.json").write_text('{"groups": [], "profile": "sm_90"}')
    with pytest.raises(UsageError, match=r"`vlbench count --json`; `vlbench diff` and `vlbench.load` in Python read"):
        read_results(tmp_path / "count.json")
