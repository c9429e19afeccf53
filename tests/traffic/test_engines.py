"""The plugin of vLLM and SGLang: their classes as they are made, without a line of theirs."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from tests.traffic.test_recorder import lines
from vlbench.errors import UsageError
from vlbench.traffic import engines
from vlbench.traffic.trace import Trace

BF16 = torch.zeros(1, dtype=torch.bfloat16)
SCHEDULERS = [("vllm.v1.core.sched.scheduler", "schedule", "waiting")]
SCHEDULERS += [("sglang.srt.managers.scheduler", "get_next_batch_to_run", "waiting_queue")]


def tower(name: str, module: str) -> Any:
    def forward(self: nn.Module, x: torch.Tensor, grid_thw: Any, *, encoder_metadata: Any = None) -> torch.Tensor:
        return x

    return type(name, (nn.Module,), {"forward": forward, "__module__": module})()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the variable names; afterwards the classes of torch are what they were."""
    monkeypatch.setattr(engines, "_INSTALLED", [])
    monkeypatch.setenv("VLBENCH_RECORD", str(tmp_path / "calls.jsonl"))
    yield tmp_path / "calls.jsonl"
    for each in engines._INSTALLED:
        each.close()
    vars(nn.Module).get("__init_subclass__") and delattr(nn.Module, "__init_subclass__")


def told(path: Path) -> list[Any]:
    for each in engines._INSTALLED:
        each.flush()
    return [(call["grids"], call["dtype"], call["queue"]) for call in lines(path)[1:]]


@pytest.mark.parametrize(("module", "step", "waiting"), SCHEDULERS)
def test_towers_are_recorded_with_the_depth_of_the_queue(
    path: Path, module: str, step: str, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = type("Scheduler", (), {step: lambda self: "step", waiting: ["a", "b"]})
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setattr(sys.modules[module], "Scheduler", scheduler, raising=False)
    engine = module.partition(".")[0]
    early = tower("Qwen2VisionTransformer", f"{engine}.models.qwen2_vl")
    engines.plugin()
    engines.plugin()
    later = tower("Qwen2_5_VisionTransformer", f"{engine}.models.qwen2_5_vl")
    early(BF16, [[1, 4, 6]])
    assert getattr(scheduler(), step)() == "step"
    later(BF16, grid_thw=torch.tensor([[1, 8, 8]]))
    for other in (tower("Resampler", f"{engine}.models.other"), tower("VisionTransformer", "mine.models")):
        other(BF16, [[1, 2, 2]])
    assert told(path) == [([[1, 4, 6]], "bfloat16", None), ([[1, 8, 8]], "bfloat16", 2)]


def test_a_name_that_another_process_has_taken_is_left_alone(path: Path) -> None:
    path.write_text("theirs")
    engines.plugin()
    tower("Qwen3_VisionTransformer", "vllm.models.qwen3_vl")(BF16, [[1, 4, 6]])
    engines._INSTALLED[0].flush()
    (other,) = path.parent.glob("calls.*.jsonl")
    assert told(other) == [([[1, 4, 6]], "bfloat16", None)]
    assert path.read_text() == "theirs"


def test_calls_with_grids_on_a_device_are_not_passed_over_in_silence(path: Path) -> None:
    engines.plugin()
    tower("Qwen3_VisionTransformer", "vllm.models.qwen3_vl")(BF16, torch.ones(1, 3, device="meta"))
    engines._INSTALLED[0].close()
    with pytest.raises(UsageError, match="no call after the head, and 1 were missed, as those with grids on a device"):
        list(Trace(path))


def test_without_the_variable_nothing_is_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLBENCH_RECORD")
    engines.plugin()
    assert not engines._INSTALLED
    assert "__init_subclass__" not in vars(nn.Module)


@pytest.mark.parametrize("group", ["vllm.general_plugins", "sglang.srt.plugins"])
def test_the_engines_find_it(group: str) -> None:
    """In what is declared: what is installed may be of an earlier day."""
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["entry-points"]
    assert declared[group] == {"vlbench_record": "vlbench.traffic.engines:plugin"}
    for each in entry_points(group=group, name="vlbench_record"):
        assert callable(each.load())
