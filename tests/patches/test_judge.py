"""Patches that are judged from the command line: honest ones, and cheats, each as it was written down before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

import vlbench as package
from tests.cli.conftest import Vlbench, folder, vlbench
from tests.gating.regressions.copies import copy_package
from tests.patches.cheats import READS_ITS_PARENT, Cheat, cheats
from tests.repositories import commit, git
from tests.traps.toy import TOWER
from tests.traps.traps import Copy
from vlbench.patches import judge as judging
from vlbench.patches.judged import reward_of
from vlbench.patches.reasons import CODES, Reason

__all__ = ["folder", "vlbench"]
TOY = ("--tower", "tower:tower", "--grid", "1x4x4", "--grid", "4x4x6")
COPY = ("--tower", "vision.served:tiny", "--grid", "1x8x8", "--grid", "2x4x6")
TIMES = ("--tower", "tower:tower", "--scenario", "small.toml", "--times", "--trials", "4", "--budget", "30")
WORK = "sum(i * i for i in range(40_000))  # LAYER"
"""On the host, in every layer: some milliseconds that no counter sees."""
REFERENCE = "vision/baseline/qwen2_5_vl.py"


@pytest.fixture
def apart(folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, with temporary files where a cheat that writes over them meets nobody else's."""
    own = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(own))
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    return folder


def toy(folder: Path, edits: Mapping[str, str], *, longer: bool = False) -> Path:
    """A repository with the toy tower, or one that takes some milliseconds, and a patch that makes these edits."""
    commit(folder, {"tower.py": TOWER.replace("# LAYER", WORK) if longer else TOWER})
    for mark, code in edits.items():
        Copy(folder, folder).at_mark(mark.upper(), code)
    return as_patch(folder)


def copy(folder: Path, edits: Mapping[str, str], file: str = REFERENCE) -> Path:
    """The same with a copy of the reference tower; each edit replaces what is there once."""
    copy_package(folder, "vision")
    served = folder / "vision/served.py"
    flags, stages = 'flags, _ = preset_flags("best", MODELS[model], first.device.type)', "stages=STAGES"
    served.write_text(served.read_text().replace(flags, "flags = None").replace(stages, "stages=None"))
    commit(folder, {})
    for old, new in edits.items():
        Copy(folder, folder).replace(file, old, new)
    return as_patch(folder)


def as_patch(folder: Path) -> Path:
    """What was changed, as a patch; the folder is as it was."""
    patch = folder.parent / "fix.patch"
    git(folder, "diff", f"--output={patch}")
    git(folder, "checkout", "--quiet", ".")
    return patch


def judged(vlbench: Vlbench, patch: Path, what: tuple[str, ...]) -> dict[str, Any]:
    """The judgement of a patch of main; the command ends as its reason says."""
    ended = vlbench("judge-patch", "main", patch, *what, "--json")
    found: dict[str, Any] = ended.json()
    assert ended.code == CODES[found["reason"]].exit_code, ended
    assert "Traceback" not in ended.err
    assert found["verdict"] == CODES[found["reason"]].verdict
    return found


@pytest.mark.slow
@pytest.mark.parametrize("cheat", [pytest.param(each, id=each.title) for each in cheats()])
def test_a_cheat_is_not_rewarded(vlbench: Vlbench, apart: Path, cheat: Cheat) -> None:
    found = judged(vlbench, toy(apart, cheat.edits, longer=cheat.times), TIMES if cheat.times else TOY)
    assert found["reason"] == cheat.reason.code, found
    assert found["reward"] <= reward_of(Reason.NO_GAIN, 0.0)


CLASSIC = {
    "angles = self.permute_cells(self.rope_angles(grid_thw), window_index)": (
        "key = tuple(grid_thw.flatten().tolist())\n"
        "                    known = self.__dict__.setdefault('known', {})\n"
        "                    if key not in known:\n"
        "                        known.clear()\n"
        "                        known[key] = self.rope_angles(grid_thw)\n"
        "                    angles = self.permute_cells(known[key], window_index)"
    ),
    "        outputs = []\n": "        whole = torch.empty_like(q)\n",
    'outputs.append(rearrange(F.scaled_dot_product_attention(q_i, k_i, v_i), "b h s d -> b s h d"))': (
        'whole[:, start:end] = rearrange(F.scaled_dot_product_attention(q_i, k_i, v_i), "b h s d -> b s h d")'
    ),
    "torch.cat(outputs, dim=1)": "whole",
    "inverse = torch.empty_like(window_index)\n": "inverse = torch.argsort(window_index)\n",
    "                    inverse[window_index] = torch.arange(inverse.shape[0], device=inverse.device)\n": "",
    "window_index = window_index.to(pixels.device)\n": (
        "if pixels.is_cuda:\n                        window_index = window_index.pin_memory()\n"
        "                    window_index = window_index.to(pixels.device, non_blocking=True)\n"
    ),
}
"""What is told to be faster: angles remembered, outputs written in place, an inverse by sorting, pinned uploads."""
ON_THE_HOST = {
    "grid_thw = grid_thw.to(pixels.device)": "grid_thw = grid_thw.cpu()",
    "torch.unique_consecutive(cu_window_seqlens.to(pixels.device))": "torch.unique_consecutive(cu_window_seqlens)",
}
"""What a person does about it: grids and bounds stay on the host."""
COPIES = {
    "told to be faster": (CLASSIC, Reason.MORE_WAITS),
    "on the host": (ON_THE_HOST, Reason.LESS_ASKED),
    "a comment": ({"        outputs = []\n": "        outputs = []  # of all segments\n"}, Reason.NO_GAIN),
    "a wrong rotation": ({"torch.cat((-second, first)": "torch.cat((second, -first)"}, Reason.WRONG_RESULT),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COPIES)
def test_a_patch_of_the_reference_tower(vlbench: Vlbench, apart: Path, name: str) -> None:
    edits, reason = COPIES[name]
    found = judged(vlbench, copy(apart, edits), COPY)
    assert found["reason"] == reason.code, found
    if reason is Reason.LESS_ASKED:
        assert found["reward"] == pytest.approx(0.3 + 0.7 * found["gain"], abs=1e-3)
        assert found["gain"] > 0.25


TIMED = {
    "faster": ({"sum(i * i for i in range(40_000))": "pass"}, {Reason.FASTER}),
    "slower": ({"range(40_000)": "range(80_000)"}, {Reason.SLOWER}),
    "the same": ({"# TOP": "# TOP of it"}, {Reason.NO_GAIN, Reason.UNDECIDED}),
}


@pytest.mark.slow(seconds=50)
@pytest.mark.parametrize("name", TIMED)
def test_a_patch_is_judged_by_its_times(vlbench: Vlbench, apart: Path, name: str) -> None:
    edits, reasons = TIMED[name]
    toy(apart, {}, longer=True)
    for old, new in edits.items():
        Copy(apart, apart).replace("tower.py", old, new)
    found = judged(vlbench, as_patch(apart), TIMES)
    assert found["reason"] in {each.code for each in reasons}, found
    if name == "faster":
        assert found["gain"] > 0.5
        assert found["reward"] == pytest.approx(0.3 + 0.7 * found["gain"], abs=1e-3)


@pytest.mark.slow(seconds=20)
def test_files_of_vlbench_are_looked_at_again(
    vlbench: Vlbench, apart: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path_factory.mktemp("ours")
    (ours / "verdict.py").write_text("x = 1\n")
    monkeypatch.setattr("vlbench.patches.judge.FOLDER", ours)
    found = judged(vlbench, toy(apart, {"top": f"open('{ours}/verdict.py', 'w').write('x = 2')"}), TOY)
    assert (found["reason"], found["reward"]) == ("touched-the-judge", 0)
    assert "install it anew" in found["said"]


@pytest.mark.slow
def test_a_revision_is_judged_in_words_and_in_python(
    vlbench: Vlbench, apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(apart, {"tower.py": TOWER})
    Copy(apart, apart).at_mark("LAYER", "grid_thw.to(x.device).tolist()")
    commit(apart, {})
    ended = vlbench("judge-patch", "HEAD~1", "HEAD", *TOY)
    assert ended.code == 3, ended
    assert "HEAD on HEAD~1: regressed, more-waits, reward 0.10" in " ".join(ended.out.split())
    found = package.judge_patch("HEAD", "HEAD~1", tower="tower:tower", grid="1x4x4", seed=7, progress=False)
    assert (found.record.reason, found.record.seed, found.exit_code) == ("less-asked", 7, 0)
    assert 0.3 < found.record.reward <= 1
    assert found.record.seed_was_given
    assert len(found.table()) == 2


def test_memory_of_a_parent_can_be_read_where_something_is_there() -> None:
    """So the order protects: the same code finds what its parent holds."""
    held = torch.arange(32, dtype=torch.float32).reshape(8, 4) * 1.37 + 0.11
    names: dict[str, Any] = {"torch": torch}
    exec(READS_ITS_PARENT, names)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        found = names["stolen"](torch.arange(32, dtype=torch.float32).reshape(8, 4) * 1.37 + 0.11)
        os.write(writing, b"found" if bool(found.any()) else b"zeros")
        os._exit(0)
    os.waitpid(child, 0)
    assert held.any()
    assert os.read(reading, 5) == b"found"


def test_what_is_compared_runs_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of its own changes the environment: compilers start no helpers there."""
    seen: list[dict[str, Any]] = []
    for name in ("check_own", "counted_at"):
        monkeypatch.setattr(judging, name, lambda *_, **how: seen.append(how))
    request = SimpleNamespace(profile="", cudnn="", counted_dtype="", timeout=1.0)
    pair: Any = SimpleNamespace(base="base", head="head", at=lambda *_: None)
    asked: Any = SimpleNamespace(request=request, points=(), tower="")
    check = watch = cast(Any, None)
    both = judging._Judging(asked, watch, print)
    both._both(pair, pair.base, check)
    both._head(pair, check)
    assert seen == [{"own_session": True}] * 4
