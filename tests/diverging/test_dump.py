"""Stages in files: written, read back, compared like a tower's, and refused where they are damaged."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import vlbench
from tests.diverging.small import small_probe
from vlbench.diverging.dump import ORDER, write
from vlbench.diverging.rows import to_stream
from vlbench.record.divergence import Divergence

FILE_SIZE = resource.RLIMIT_FSIZE
TINY = "qwen2.5-vl-tiny"
USUAL: dict[str, Any] = {"device": "cpu", "progress": False}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result = vlbench.verify(tower=f"{TINY}+best", dump=tmp_path / "stages", **USUAL)
    assert result.exit_code == 0
    assert result.written == (tmp_path / "stages/float32.safetensors",)  # type: ignore[union-attr]
    return tmp_path / "stages"


def held(folder: Path, **options: Any) -> tuple[Divergence, int]:
    result = vlbench.verify(tower=TINY, against=folder, where=True, **USUAL | options)
    (each,) = result.record  # type: ignore[misc]
    assert isinstance(each, Divergence)
    return each, int(result.exit_code)


def changed(folder: Path, change: Callable[[dict[str, Tensor]], object], dtype: str = "float32") -> None:
    tensors = load_file(folder / f"{dtype}.safetensors")
    change(tensors)
    save_file(tensors, folder / f"{dtype}.safetensors")


def test_a_dump_is_compared_as_a_tower_is(folder: Path) -> None:
    each, code = held(folder)
    assert (each.first("float32"), each.unmatched, code) == (None, (), 0)
    assert [run.mode for run in each.runs] == ["free-running", "lock-step"]
    assert load_file(folder / "float32.safetensors").keys() >= {"pixels", "grid_thw", "block[3].sum", "tokens"}


def test_a_mistake_in_a_dump_is_found_where_it_is(folder: Path) -> None:
    changed(folder, lambda tensors: tensors["block[2].mlp"][5].mul_(1.01))
    each, code = held(folder)
    stage = each.first("float32")
    assert stage is not None
    assert stage.first is not None
    assert (stage.name, stage.first.words, stage.beyond, code) == (
        "block[2].mlp", "item 0, frame 0, row 0, column 1, window 0", 1, 5,
    )  # fmt: skip


def test_nan_in_a_dump_never_passes(folder: Path) -> None:
    changed(folder, lambda tensors: tensors["tokens"][0].fill_(torch.nan))
    each, code = held(folder)
    assert (each.first("float32").name, code) == ("tokens", 5)  # type: ignore[union-attr]


def test_rows_may_stand_in_another_order(folder: Path) -> None:
    def reorder(tensors: dict[str, Tensor]) -> None:
        patches = len(tensors["pixels"])
        order = torch.arange(patches).view(-1, 4).flip(0).flatten()
        for name in tensors.keys() - {"pixels", "grid_thw"}:
            tensors[name] = to_stream(tensors[name], order)
        tensors[ORDER] = order

    changed(folder, reorder)
    each, code = held(folder)
    assert (each.first("float32"), code) == (None, 0)


def test_whole_numbers_may_be_of_any_width(folder: Path) -> None:
    def narrow(tensors: dict[str, Tensor]) -> None:
        tensors["grid_thw"] = tensors["grid_thw"].to(torch.uint8)
        tensors[ORDER] = torch.arange(len(tensors["pixels"]), dtype=torch.int16)
        for name in [name for name in tensors if name.endswith(".segments")]:
            tensors[name] = tensors[name].int()

    changed(folder, narrow)
    each, code = held(folder)
    assert (each.first("float32"), each.unmatched, code) == (None, (), 0)


def test_what_is_missing_or_strange_is_named_and_lowers_the_verdict(folder: Path) -> None:
    def strip(tensors: dict[str, Tensor]) -> None:
        del tensors["block[1].norm2"]
        tensors["block[9].mlp"] = tensors["block[1].mlp"].clone()
        tensors["merger"] = tensors["merger"][:, 1:].contiguous()

    changed(folder, strip)
    each, code = held(folder)
    assert code == 6
    assert set(each.unmatched) == {
        "block[1].norm2 (missing)", f"block[9].mlp ({TINY} has none)", "merger ([45, 255] instead of [45, 256])",
    }  # fmt: skip


def test_a_dump_in_bfloat16_alone_says_what_it_cannot_show(tmp_path: Path) -> None:
    vlbench.verify(tower=TINY, dtype="bfloat16", dump=tmp_path / "both", **USUAL)
    (tmp_path / "both/float32.safetensors").unlink()
    each, code = held(tmp_path / "both")
    assert (each.dtypes, each.first("bfloat16"), code) == (("bfloat16",), None, 0)
    changed(tmp_path / "both", lambda tensors: tensors["block[1].attention"].mul_(1.1), "bfloat16")
    each, code = held(tmp_path / "both")
    assert (each.first("bfloat16").name, code) == ("block[1].attention", 5)  # type: ignore[union-attr]


def test_a_dump_of_other_weights_does_not_compare(folder: Path) -> None:
    with pytest.raises(vlbench.IncomparableError, match="made with other weights"):
        held(folder, seed=1)
    with pytest.raises(vlbench.UsageError, match="the dump is of float32, not bfloat16; leave dtype out"):
        held(folder, dtype="bfloat16")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop("pixels"), "it lacks 'pixels'"),
        (lambda tensors: tensors.update(grid_thw=tensors["grid_thw"] * 0), "each above 0"),
        (
            lambda tensors: tensors.update(grid_thw=torch.tensor([[2**32, 2**32, 1]]), pixels=tensors["pixels"][:0]),
            "grid_thw is above the limit of 4,194,304 patches",
        ),
        (lambda tensors: tensors.update(pixels=tensors["pixels"][1:].contiguous()), "its grids have 180 patches"),
        (lambda tensors: tensors.update({ORDER: torch.zeros(180, dtype=torch.long)}), "each patch from 0 to 179 once"),
        (lambda tensors: tensors.update(merger=tensors["merger"] + 0j), "merger is of complex64; give floating-point"),
        (lambda tensors: tensors.update(pixels=tensors["pixels"].int()), "pixels is of int32; give floating-point"),
        (lambda tensors: tensors.update(grid_thw=tensors["grid_thw"] + 0j), "grid_thw is of complex64; give whole"),
        (lambda tensors: tensors.update(grid_thw=tensors["grid_thw"].float()), "grid_thw is of float32; give whole"),
        (lambda tensors: tensors.update({ORDER: torch.arange(180.0)}), "order is of float32; give whole numbers"),
        (lambda tensors: tensors.update({"block[0].segments": torch.zeros(180)}), "segments is of float32; give whole"),
        (lambda tensors: tensors.update(merger=torch.zeros(3)), "merger is \\[3\\]; give \\[rows, width\\]"),
    ],
)
def test_a_dump_that_says_nonsense_is_refused(folder: Path, change: Callable[..., object], words: str) -> None:
    changed(folder, change)
    with pytest.raises(vlbench.UsageError, match=words):
        held(folder)


def test_damaged_files_are_refused_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    path = folder / "float32.safetensors"
    whole = path.read_bytes()
    for broken in (whole[:-100], whole[:50], b"", bytes(100), whole[:8] + b"x" * len(whole[8:])):
        path.write_bytes(broken)
        with pytest.raises(vlbench.UsageError, match=r"float32\.safetensors"):
            held(folder)
    path.unlink()
    with pytest.raises(vlbench.UsageError, match=r"it has no float32\.safetensors"):
        held(folder)


def test_no_dump_is_replaced(folder: Path) -> None:
    with pytest.raises(vlbench.UsageError, match="is there already"):
        vlbench.verify(tower=TINY, dump=folder, **USUAL)
    with pytest.raises(vlbench.UsageError, match="does not exist"):
        vlbench.verify(tower=TINY, dump=folder / "a/b", **USUAL)


def test_a_dump_that_cannot_be_written_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file may grow beyond a few bytes; then a disk is full, as safetensors tells it."""

    def refusal() -> str:
        with pytest.raises(vlbench.UsageError) as refused:
            write(tmp_path, "float32", {}, torch.zeros(1, 99), torch.ones(1, 3), {})
        assert list(tmp_path.iterdir()) == []
        return str(refused.value)

    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    said, limits = f"--dump {tmp_path / 'float32.safetensors'}: cannot be written", resource.getrlimit(FILE_SIZE)
    resource.setrlimit(FILE_SIZE, (64, limits[1]))
    try:
        assert refusal() == f"{said} (File too large); choose another"
    finally:
        resource.setrlimit(FILE_SIZE, limits)
    monkeypatch.setattr("vlbench.diverging.dump.save_file", full)
    assert refusal() == f"{said} (No space left on device); free some space, or choose another"
