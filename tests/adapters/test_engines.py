"""The adapters for serving engines, which lie outside of the package; the engines themselves are not installed here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.house import ROOT
from vlbench.errors import UsageError
from vlbench.towers.resolve import check_tower, resolve_tower


@pytest.fixture(autouse=True)
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As installed: on the path, with the entry points that its pyproject.toml names."""
    told = tmp_path / "vlbench_engines-0.1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: vlbench-engines\nVersion: 0.1.0\n")
    (told / "entry_points.txt").write_text("[vlbench.towers]\nvllm = vlbench_engines.vllm:tower\n")
    monkeypatch.syspath_prepend(ROOT / "adapters/engines")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        resolve_tower(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_adapter_is_found_without_the_engine() -> None:
    assert check_tower("vllm:qwen2.5-vl-tiny") == "vlbench-engines 0.1.0"


def test_an_engine_that_is_not_installed() -> None:
    told = refusal("vllm:qwen2.5-vl-tiny")
    assert told == "tower 'vllm:qwen2.5-vl-tiny': vllm is not installed; pip install vllm==0.33.0"


@pytest.mark.parametrize(("release", "known"), [("0.40.1", False), ("0.3.3", False), ("0.33.2", True)])
def test_an_engine_of_another_release(adapters: Path, release: str, known: bool) -> None:
    told = adapters / f"vllm-{release}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {release}\n")
    if known:
        assert import_module("vlbench_engines").require("vllm", "0.33") == "vllm 0.33.2"
    else:
        assert f"this is the adapter for vllm 0.33, and {release} is installed" in refusal("vllm:qwen2.5-vl-tiny")


def test_models_that_it_does_not_build() -> None:
    assert "the adapter builds no 'qwen3-vl-8b'; choose one of qwen2.5-vl-" in refusal("vllm:qwen3-vl-8b")


@pytest.mark.slow(seconds=20)
def test_the_towers_of_an_installed_engine_are_those_of_transformers() -> None:
    pytest.importorskip("vllm")
    import torch

    from tests.implementations.test_module_stages import GRIDS, PIXELS
    from tests.implementations.towers import relative_error
    from vlbench.implementations.config import MODELS
    from vlbench.towers.models import drawn

    name, cpu = "qwen2.5-vl-tiny", torch.device("cpu")
    weights = drawn(MODELS[name], cpu, torch.float32)
    vllm, hf = (resolve_tower(f"{head}:{name}").build(cpu, torch.float32, weights) for head in ("vllm", "hf"))
    assert relative_error(vllm(PIXELS, GRIDS), hf(PIXELS, GRIDS)) < 1e-5
