from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from hypothesis import given, strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel

import vlbench
from tests.cuda_stand_ins import ANSWERS, OTHER_UUID, UUID, FakeNvml
from tests.record.records import FINGERPRINT as ON_CPU
from vlbench.record import fingerprint as module
from vlbench.record.fingerprint import VARIABLES, Fingerprint, comparable, take_fingerprint
from vlbench.record.precision import precisions

ON_GPU = ON_CPU.model_copy(
    update={
        "gpu": "NVIDIA H200",
        "gpu_uuid": f"GPU-{UUID}",
        "gpu_board": "699-2G520",
        "power_limit_w": 700.0,
        "mig": False,
        "driver": "580.65",
        "cudnn": "9.19.0",
        "attention": ("cudnn", "flash"),
    }
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "gpu": st.sampled_from([None, "NVIDIA H200", "NVIDIA L4"]),
        "gpu_board": st.sampled_from([None, "699-2G520", "900-2G193"]),
        "power_limit_w": st.sampled_from([None, 700.0, 400.0]),
        "mig": st.sampled_from([None, True, False]),
        "cpu": st.sampled_from(["a CPU", "another CPU"]),
        "torch": st.sampled_from(["2.13.0", "2.13.0+cu130"]),
        "python": st.sampled_from(["3.11.7", "3.11.9", "3.12.0"]),
        "gpu_uuid": st.sampled_from([f"GPU-{UUID}", f"GPU-{OTHER_UUID}"]),
        "driver": st.sampled_from(["580.65", "590.44"]),
        "cudnn": st.sampled_from([None, "9.19.0", "9.10.2"]),
        "attention": st.sampled_from([None, ("flash", "math"), ("cudnn", "flash", "math")]),
        "dirty": st.booleans(),
        "memory_gb": st.sampled_from([16.0, 32.0]),
    },
)


@given(CHANGES, CHANGES)
def test_comparable_means_of_one_machine_class(mine: dict[str, object], theirs: dict[str, object]) -> None:
    one, other = ON_GPU.model_copy(update=mine), ON_GPU.model_copy(update=theirs)
    assert (comparable(one, other) == []) == (one.machine_class == other.machine_class)
    assert len(comparable(one, other)) == len(comparable(other, one))
    assert comparable(one, one) == []


@given(CHANGES)
def test_it_survives_json(changes: dict[str, object]) -> None:
    taken = ON_GPU.model_copy(update=changes)
    assert Fingerprint.model_validate_json(taken.model_dump_json()) == taken


@pytest.mark.parametrize(
    ("field", "value", "difference"),
    [
        ("gpu", "NVIDIA L4", "GPU: NVIDIA H200 against NVIDIA L4"),
        ("gpu_board", None, "board: 699-2G520 against none or not known"),
        ("power_limit_w", 400.0, "power limit: 700 W against 400 W"),
        ("mig", True, "MIG: off against on"),
        ("cudnn", "9.10.2", "cuDNN: 9.19.0 against 9.10.2"),
        ("attention", ("flash", "math"), "attention: cudnn, flash against flash, math"),
        ("cpu", "another CPU", "CPU: a CPU against another CPU"),
        ("torch", "2.14.0", "torch: 2.13.0 against 2.14.0"),
        ("python", "3.12.0", "Python: 3.11 against 3.12"),
    ],
)
def test_each_part_of_the_class_forbids_comparing(field: str, value: object, difference: str) -> None:
    assert comparable(ON_GPU, ON_GPU.model_copy(update={field: value})) == [difference]


def test_the_class_in_one_line() -> None:
    assert ON_CPU.machine_class == "CPU a CPU | torch 2.13.0 | Python 3.11"
    assert ON_GPU.machine_class == (
        "GPU NVIDIA H200 | board 699-2G520 | MIG off | power limit 700 W | cuDNN 9.19.0 | attention cudnn, flash | "
        "CPU a CPU | torch 2.13.0 | Python 3.11"
    )


def test_it_fits_in_one_line() -> None:
    assert ON_CPU.line == "a CPU, 2 cores | torch 2.13.0 | Python 3.11.7 | vlbench 012345678"
    changed = ON_CPU.model_copy(update={"dirty": True, "gpu": "a GPU"})
    assert changed.line == "a GPU | torch 2.13.0 | Python 3.11.7 | vlbench 012345678+changes"
    released = ON_CPU.model_copy(update={"revision": None, "dirty": None})
    assert released.line.endswith("| vlbench 0.1.0")


def test_it_tells_the_machine_and_the_software() -> None:
    taken = take_fingerprint("cpu")
    assert (taken.vlbench, taken.torch, taken.python) == (
        vlbench.__version__,
        torch.__version__,
        platform.python_version(),
    )
    assert taken.torch_threads == torch.get_num_threads()
    assert taken.libraries["numpy"] == importlib.metadata.version("numpy")
    assert "torch" not in taken.libraries
    assert taken.cpu
    assert taken.cores == psutil.cpu_count()
    assert taken.memory_gb == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.06)
    assert (taken.gpu, taken.cudnn, taken.attention, taken.fp32, taken.variables) == (None,) * 5
    assert (taken.revision is None) == (taken.dirty is None)


def test_a_library_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIBRARIES", ("numpy", "no-such-library"))
    assert list(take_fingerprint("cpu").libraries) == ["numpy"]


@pytest.mark.parametrize(
    ("printed", "hypervisor"),
    [("Model name:  Neoverse-V2\nHypervisor vendor:   KVM\n", "KVM"), ("Model name:  Neoverse-V2\n", "none")],
)
def test_lscpu_tells_the_hypervisor_and_cores_without_a_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, printed: str, hypervisor: str
) -> None:
    program = tmp_path / "lscpu"
    program.write_text(f"#!/bin/sh\nprintf '{printed}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(module, "_cpu_name", lambda: None)  # as on ARM, whose /proc/cpuinfo has no names
    taken = take_fingerprint("cpu")
    assert (taken.hypervisor, taken.cpu) == (hypervisor, "Neoverse-V2")


def test_without_lscpu_and_git_it_is_not_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    taken = take_fingerprint("cpu")
    assert (taken.hypervisor, taken.revision, taken.dirty) == (None, None, None)
    assert taken.cpu


def _see_gpu(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml | None) -> None:
    seen = SimpleNamespace(name="NVIDIA H200", total_memory=141 * 2**30, uuid=UUID)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: seen)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91900)
    monkeypatch.setattr(torch, "zeros", lambda *size, device, dtype: torch.ones(size, dtype=dtype))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)


def test_the_visible_gpu_among_several(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ANSWERS | {"nvmlDeviceGetEnforcedPowerLimit": 350_000}
    _see_gpu(monkeypatch, FakeNvml({f"GPU-{OTHER_UUID}": other, f"GPU-{UUID}": ANSWERS}))
    taken = take_fingerprint("cuda")
    assert (taken.gpu, taken.gpu_memory_gb) == ("NVIDIA H200", 141.0)
    assert (taken.gpu_uuid, taken.gpu_board) == (f"GPU-{UUID}", "699-2G520-0200-000")
    assert (taken.power_limit_w, taken.mig, taken.driver) == (700.0, False, "580.65.06")


def test_what_decides_how_torch_computes_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _see_gpu(monkeypatch, None)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    before = precisions()
    torch.backends.fp32_precision = "tf32"
    try:
        with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION], set_priority=True):
            taken = take_fingerprint("cuda")
        assert torch.backends.fp32_precision == "tf32"
    finally:
        torch.backends.fp32_precision = before["all"]
    assert (taken.cudnn, taken.attention) == ("9.19.0", ("cudnn", "flash"))
    assert taken.fp32 == dict.fromkeys(before, "ieee")
    assert taken.variables == {
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        "PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64",
    }


@pytest.mark.parametrize(("told", "version"), [(91900, "9.19.0"), (91002, "9.10.2"), (8902, "8.9.2"), (None, None)])
def test_the_version_of_cudnn_is_written_as_nvidia_writes_it(told: int | None, version: str | None) -> None:
    assert module.dotted(told) == version


def test_a_board_that_tells_little(monkeypatch: pytest.MonkeyPatch) -> None:
    _see_gpu(monkeypatch, FakeNvml({f"GPU-{UUID}": {"nvmlDeviceGetBoardPartNumber": ""}}))
    taken = take_fingerprint("cuda")
    assert taken.gpu_uuid == f"GPU-{UUID}"
    assert (taken.gpu_board, taken.power_limit_w, taken.mig) == (None, None, None)


def test_without_nvml_torch_alone_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    _see_gpu(monkeypatch, None)
    taken = take_fingerprint("cuda")
    assert taken.gpu == "NVIDIA H200"
    assert (taken.gpu_uuid, taken.power_limit_w, taken.driver) == (None, None, None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_gpu() -> None:
    taken = take_fingerprint("cuda")
    assert taken.gpu == torch.cuda.get_device_name(0)
    assert taken.gpu_uuid
    assert taken.driver


def test_importing_the_record_loads_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "pandas", "pynvml", "vlbench.trial"}
    code = "import sys, vlbench.record.fingerprint, vlbench.record.machine_card; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)
