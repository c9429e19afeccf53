"""The figures of transformers' towers against another way to count, and what two open changes to it would remove.

Everything here imports transformers, which takes seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vlbench.counting_device import CountingDevice
from vlbench.record.atlas import AtlasRow
from vlbench.surveying.build import tower_class
from vlbench.surveying.difference import differences
from vlbench.surveying.forms import fed, sizes_of
from vlbench.surveying.job import AtlasJob
from vlbench.surveying.listed import Listed, listed_package
from vlbench.surveying.measure import count_listed
from vlbench.surveying.run import count_atlas

pytestmark = pytest.mark.slow
GRIDS = ((1, 12, 12), (1, 8, 16))
WIDTHS = {"hidden_size": 64, "num_heads": 2}
SMALL: dict[str, dict[str, Any]] = {
    "qwen2_vl": {"embed_dim": 64, "num_heads": 2, "depth": 3, "hidden_size": 64},
    "qwen2_5_vl": {**WIDTHS, "depth": 3, "intermediate_size": 96, "out_hidden_size": 64, "fullatt_block_indexes": [1]},
    "qwen3_vl": {**WIDTHS, "depth": 3, "intermediate_size": 96, "out_hidden_size": 64, "deepstack_visual_indexes": [1]},
    "glm4v": {**WIDTHS, "depth": 3, "intermediate_size": 96, "out_hidden_size": 64},
    "ernie4_5_vl_moe": {**WIDTHS, "depth": 3, "intermediate_size": 96},
}
"""Few and narrow blocks, so that a CPU computes them in a moment."""


def small(name: str) -> Listed:
    (listed,) = listed_package("transformers").only([name])
    return listed.model_copy(update={"settings": SMALL[name]})


class OnDevice(Tensor):
    """Stands for a tensor of the GPU: what is made of it is one, too."""


class Waits(TorchFunctionMode):
    """Counts, on a real CPU and by the functions of torch that are called, what would wait on a GPU.

    It shares nothing with the counting device: it computes everything, and knows a tensor of the GPU by its class.
    """

    READS = ("tolist", "item", "__int__", "__bool__", "__index__", "__float__", "cpu", "nonzero", "unique_consecutive")
    MAKES = ("tensor", "as_tensor", "arange", "zeros", "ones", "empty", "full", "linspace")

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        there = [each for each in flat((args, kwargs)) if isinstance(each, OnDevice | nn.Parameter)]
        host = [each for each in flat((args, kwargs)) if type(each) is Tensor]
        made = name in self.MAKES and "device" in kwargs
        if there and name in self.READS:
            self.found[name] += 1
        elif there and name == "repeat_interleave" and isinstance(args[1], Tensor):
            # its sum is read, and whether one is negative: `repeat_interleave_common` in ATen/native/Repeat.cpp
            self.found[name] += 2 * (kwargs.get("output_size") is None)
        elif name in ("__getitem__", "getitem") and there and isinstance(args[0], OnDevice | nn.Parameter):
            index = [each for each in flat(args[1]) if isinstance(each, Tensor)]
            self.found["mask"] += sum(each.dtype is torch.bool for each in index)
            self.found["host index"] += sum(type(each) is Tensor for each in index)
        elif made and name in ("tensor", "as_tensor") and not there:
            self.found["upload"] += 1
        elif name == "arange" and there:
            self.found["arange"] += len([each for each in args if isinstance(each, OnDevice)])
        elif name == "to" and host and not there and any(isinstance(each, torch.device) for each in args[1:]):
            self.found["upload"] += 1
            made = True
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
        return placed(result) if (there and name not in self.READS[:6]) or made else result


def flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from flat(each)
    else:
        yield value


def placed(value: Any) -> Any:
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(placed(each) for each in value)
    return value.as_subclass(OnDevice) if type(value) is Tensor else value


def waits_of(listed: Listed) -> int:
    """Waits of a call on a grid on the GPU, counted so."""
    tower, config = tower_class(listed)
    chosen = config(**listed.settings)
    chosen._attn_implementation = "sdpa"
    module = tower(chosen).eval()
    for each in module.modules():
        each._buffers.update({name: placed(part) for name, part in each._buffers.items()})
    sizes = sizes_of(module, GRIDS)
    form = {"patches": ("hidden_states", "grid_thw")}
    assert listed.form in form
    names = dict(zip(form[listed.form], ("pixels N D", "thw"), strict=True))
    given = {name: placed(part) for name, part in fed(names, sizes, torch.zeros).items()}
    with torch.no_grad(), Waits() as mode:
        module(**given)
    return sum(mode.found.values())


@pytest.mark.parametrize("name", SMALL)
def test_waits_are_those_that_another_way_to_count_finds(name: str) -> None:
    listed = small(name)
    with CountingDevice("ghost") as device:
        row = count_listed(device, listed, GRIDS, torch.float32)
    assert row.depth == 3
    assert waits(row, "device") == waits_of(listed)


def waits(row: AtlasRow, place: str) -> int:
    (way,) = (each for each in row.counted if each.grid == place and not each.prepared)
    assert way.count is not None
    return way.count.waits


BOUNDS_ON_THE_HOST = {
    "vision_utils.py": [
        (
            "    if merge_temporal:\n        seqlens =",
            "    grid_thw = grid_thw.cpu()\n    if merge_temporal:\n        seqlens =",
        )
    ]
}
"""transformers #47703, open when this was written: bounds of segments are made on the host."""
SPLIT_ONCE = {
    "models/qwen3_vl/modeling_qwen3_vl.py": [
        ("lengths = cu_seqlens[1:] - cu_seqlens[:-1]", "sizes = kwargs.pop('sizes')"),
        ("lengths.tolist()", "sizes"),
        (
            "        for layer_num, blk in enumerate(self.blocks):\n",
            "        sizes = cu_seqlens.diff().tolist()\n        for layer_num, blk in enumerate(self.blocks):\n",
        ),
        (
            "                **kwargs,\n            )\n            if layer_num",
            "                sizes=sizes,\n                **kwargs,\n            )\n            if layer_num",
        ),
    ]
}  # fmt: skip
"""transformers #48418, open when this was written: lengths are read once for all layers."""


def edited(folder: Path, edits: dict[str, list[tuple[str, str]]]) -> Path:
    """The installed transformers with some files edited; all others are links. Returns the folder to import from."""
    import transformers

    installed = Path(transformers.__file__).parent

    def link(source: Path, goal: Path, inside: str) -> None:
        if not any(name.startswith(f"{inside}/") for name in edits) and inside not in edits and inside:
            goal.symlink_to(source)
        elif inside in edits:
            text = source.read_text()
            for old, new in edits[inside]:
                assert old in text, f"{inside} is not as it was: {old}"
                text = text.replace(old, new)
            goal.write_text(text)
        else:
            goal.mkdir(parents=True)
            for each in source.iterdir():
                if each.name != "__pycache__":
                    link(each, goal / each.name, f"{inside}/{each.name}".lstrip("/"))

    link(installed, folder / "transformers", "")
    for info in installed.parent.glob("transformers-*.dist-info"):
        (folder / info.name).symlink_to(info)
    return folder


@pytest.mark.parametrize("edits", [BOUNDS_ON_THE_HOST, SPLIT_ONCE], ids=["bounds on the host", "split once"])
def test_what_an_open_change_removes_is_named(tmp_path: Path, edits: dict[str, list[tuple[str, str]]]) -> None:
    towers = (small("qwen3_vl").model_copy(update={"name": "qwen3_vl"}),)
    job = AtlasJob(package="transformers", towers=towers, grids=GRIDS, profile="sm_90", cudnn="9.19", dtype="bfloat16")
    before, after = count_atlas(job), count_atlas(job.model_copy(update={"folder": str(edited(tmp_path, edits))}))
    judged = differences(before, after)
    row = next(each for each in judged.rows if each.cell == "qwen3_vl, grid on the device")
    lines = {move.name: (move.before, move.after) for move in row.moves if move.kind == "line"}
    (split,) = (counts for name, counts in lines.items() if "lengths.tolist()" in name)
    assert split == (3 * 3, 0)  # three in each of three layers
    assert [times for old, times in lines.values() if not old] == [1]  # what it reads in their place, once
    assert waits(after.rows[0], "device") < waits(before.rows[0], "device") - 6
    assert "gone: transformers/models/qwen3_vl/modeling_qwen3_vl.py:" in row.reason
