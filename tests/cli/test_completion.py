from __future__ import annotations

from importlib import import_module

from vlbench.cli import options
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS
from vlbench.implementations.peers import PEERS
from vlbench.workload.library import scenario_names

# The package's attribute of this name is the command.
explain = import_module("vlbench.cli.explain")


def test_variants_complete_to_flags_presets_and_peers() -> None:
    assert set(options._variants("")) == {*OPTIMIZATIONS, *PRESETS, *PEERS}
    assert options._variants("hf-s") == ["hf-sdpa"]
    assert options._variants("best+hf-") == []
    assert options._variants("rope-c") == ["rope-cache"]
    assert options._variants("zzz") == []


def test_the_last_of_several_flags_is_completed() -> None:
    assert options._variants("host-grid+rope-c") == ["host-grid+rope-cache"]
    assert set(options._variants("classic+")) == {f"classic+{name}" for name in (*OPTIMIZATIONS, *PRESETS)}


def test_models_scenarios_and_flags() -> None:
    assert options.complete_models("qwen2-vl") == [name for name in MODELS if name.startswith("qwen2-vl")]
    assert options.complete_scenarios("") == list(scenario_names())
    assert options.complete_formats("v") == ["vllm"]
    assert options.complete_scenarios("multi") == ["multi-image"]
    assert explain._flags("rope-") == [name for name in OPTIMIZATIONS if name.startswith("rope-")]
