"""The adapters for serving engines, which lie outside of the package.

The engines themselves are not among what is installed for development: adapters/engines/README.md says how to get them.
"""

from __future__ import annotations

import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from tests.house import ROOT
from tests.implementations.grids import Batch
from tests.implementations.towers import relative_error, run
from vlbench.counting.job import Point
from vlbench.counting.measure import count_tower
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.towers.models import drawn
from vlbench.towers.resolve import check_tower, resolve_tower

SERIES = {"vllm": "0.33", "sglang": "0.5.23"}
PYPROJECT = tomllib.loads((ROOT / "adapters/engines/pyproject.toml").read_text())["project"]
CPU = torch.device("cpu")
PICTURES: tuple[Batch, ...] = (((1, 10, 6), (1, 2, 14)), ((1, 26, 18),), ((1, 4, 4),) * 7)
CLIPS: tuple[Batch, ...] = (((1, 8, 12), (2, 4, 6)), ((3, 10, 14),))
engines = pytest.mark.parametrize("engine", SERIES)
models = pytest.mark.parametrize("model", ["qwen2-vl-tiny", "qwen2.5-vl-tiny", "qwen3-vl-tiny"])


@pytest.fixture(autouse=True)
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As installed: on the path, with the entry points that its pyproject.toml names."""
    named = PYPROJECT["entry-points"]["vlbench.towers"]
    points = "".join(f"{name} = {value}\n" for name, value in named.items())
    install(tmp_path, "vlbench-engines", "0.1.0", f"[vlbench.towers]\n{points}")
    monkeypatch.syspath_prepend(ROOT / "adapters/engines")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(folder: Path, package: str, release: str, points: str = "") -> None:
    told = folder / f"{package.replace('-', '_')}-{release}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {release}\n")
    (told / "entry_points.txt").write_text(points)


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        resolve_tower(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@engines
def test_the_adapter_is_found_without_the_engine_and_says_what_runs(engine: str) -> None:
    assert check_tower(f"{engine}:qwen2.5-vl-tiny") == "vlbench-engines 0.1.0, CPU platform"


@pytest.mark.parametrize(("engine", "release"), [("vllm", "0.33.0"), ("sglang", "0.5.23")])
def test_an_engine_that_is_not_installed(engine: str, release: str) -> None:
    if find_spec(engine):
        pytest.skip(f"{engine} is installed")
    told = refusal(f"{engine}:qwen2.5-vl-tiny")
    assert told == f"tower '{engine}:qwen2.5-vl-tiny': {engine} is not installed; pip install {engine}=={release}"


@pytest.mark.parametrize(
    ("engine", "release", "known"),
    [
        ("vllm", "0.40.1", False),
        ("vllm", "0.3.3", False),
        ("vllm", "0.33.2", True),
        ("sglang", "0.5.22", False),
        ("sglang", "0.5.230", False),
        ("sglang", "0.5.23.post1", True),
    ],
)
def test_an_engine_of_another_release(adapters: Path, engine: str, release: str, known: bool) -> None:
    install(adapters, engine, release)
    if known:
        assert import_module("vlbench_engines").require(engine, SERIES[engine]) == f"{engine} {release}"
        tower = resolve_tower(f"{engine}:qwen3-vl-8b")
        assert tower.source == f"{engine} {release}, CPU platform, without its kernels"
        assert (tower.platform, tower.model) == ("CPU platform", "qwen3-vl-8b")
    else:
        told = f"this is the adapter for {engine} {SERIES[engine]}, and {release} is installed"
        assert told in refusal(f"{engine}:qwen2.5-vl-tiny")


@engines
def test_models_that_it_does_not_build(engine: str) -> None:
    assert "the adapter builds no 'qwen3.5-9b'; choose one of qwen2-vl-" in refusal(f"{engine}:qwen3.5-9b")


def need(engine: str) -> None:
    if not find_spec(engine):
        pytest.skip(f"{engine} is not installed; adapters/engines/README.md says how to get it")


def difference(engine: str, model: str, grids: Batch) -> float:
    """Between the engine's tokens and transformers', relative to theirs, on the same weights and pixels."""
    config = MODELS[model]
    weights = drawn(config, CPU, torch.float32)
    tower, hf = (resolve_tower(f"{head}:{model}").build(CPU, torch.float32, weights) for head in (engine, "hf"))
    return relative_error(run(tower, config, grids), run(hf, config, grids))


@pytest.mark.slow(seconds=10)
@engines
@models
def test_the_towers_of_an_installed_engine_are_those_of_transformers(engine: str, model: str) -> None:
    need(engine)
    assert max(difference(engine, model, grids) for grids in PICTURES) < 1e-5
    clips = [difference(engine, model, grids) for grids in CLIPS]
    if (engine, model) == ("sglang", "qwen2.5-vl-tiny"):  # its full blocks attend over all frames of a clip
        assert min(clips) > 1e-3
    else:
        assert max(clips) < 1e-5


@pytest.mark.slow(seconds=10)
@engines
@models
def test_an_installed_engine_is_counted_whole_and_with_its_label(engine: str, model: str) -> None:
    need(engine)
    point = Point(scenario="grid", label="", grids=((1, 10, 6), (1, 4, 4)))
    with CountingDevice("ghost") as device:
        found, _ = count_tower(device, Row("it", f"{engine}:{model}"), point, torch.bfloat16)
    assert found.failed is None
    assert found.warm is not None
    counts = found.warm.counts
    assert (counts.why_not_whole, counts.key.platform) == ("", "CPU platform")
    assert counts.total.attention_calls >= MODELS[model].depth
    assert any(engine in str(site.where.file) for site in found.warm.sites)
