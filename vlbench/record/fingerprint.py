"""The machine and the software that a result comes from, and whether times of two results may be compared."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import Field

from vlbench.process.git import git
from vlbench.record.base import Amount, Count, Record
from vlbench.record.nvml import visible_board
from vlbench.record.precision import OVERRIDE, precisions, tf32_turned_off
from vlbench.version import FOLDER, __version__

LIBRARIES = ("numpy", "einops", "safetensors", "transformers", "triton")
"""Besides torch: what runs inside a measured forward, or makes its inputs."""
VARIABLES = (
    "PYTORCH_ALLOC_CONF PYTORCH_CUDA_ALLOC_CONF PYTORCH_NO_CUDA_MEMORY_CACHING TORCH_CUDNN_SDPA_DEPRIORITIZED "
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE "
    f"{OVERRIDE} CUDA_LAUNCH_BLOCKING CUDA_DEVICE_MAX_CONNECTIONS CUDA_MODULE_LOADING CUBLAS_WORKSPACE_CONFIG"
).split()
"""Of the allocator, of attention, of TF32, of launches."""


class Fingerprint(Record):
    """Where a result comes from. None: not measured, because it could not be read or does not exist here."""

    vlbench: str
    """Version of vlbench."""
    revision: str | None
    """git revision of vlbench's own source; None outside a checkout."""
    dirty: bool | None
    """Did that checkout hold uncommitted changes?"""
    python: str
    """Version of Python."""
    torch: str
    """Version and build of torch."""
    torch_threads: Count | None = None
    """Threads of a torch operation where this was taken; a cell group holds its own."""
    libraries: dict[str, str] = Field(default_factory=dict)
    """Versions of other installed libraries."""
    os: str
    """Operating system and kernel."""
    hypervisor: str | None = None
    """Vendor of the hypervisor; 'none' where lscpu sees none, None without lscpu."""
    cpu: str
    """CPU model."""
    physical_cores: Count | None = None
    """Physical cores."""
    cores: Count
    """Logical cores."""
    memory_gb: Amount
    """Main memory in GiB."""
    gpu: str | None = None
    """CUDA's name of the GPU, with the profile of a MIG slice."""
    gpu_uuid: str | None = None
    """NVML's UUID of the visible GPU or MIG slice."""
    gpu_board: str | None = None
    """Part number of the board."""
    gpu_memory_gb: Amount | None = None
    """Memory of the GPU in GiB."""
    power_limit_w: Amount | None = None
    """Power limit in force on the board, in watts."""
    mig: bool | None = None
    """Is the board split into MIG slices?"""
    driver: str | None = None
    """Version of the NVIDIA driver."""
    cuda: str | None = None
    """CUDA version that torch was built with."""
    cudnn: str | None = None
    """Version of cuDNN that torch loaded."""
    attention: tuple[str, ...] | None = None
    """CUDA: backends of scaled_dot_product_attention that are on, in the order in which torch tries them."""
    fp32: dict[str, str] | None = None
    """CUDA: how fp32 is computed in what is measured, by library and kind of operation; TF32 nowhere is "ieee"."""
    variables: dict[str, str] | None = None
    """CUDA: variables that are set, of those that change how torch and CUDA work. None: not applicable."""

    @property
    def line(self) -> str:
        """The environment in one line."""
        device = self.gpu or f"{self.cpu}, {self.cores} cores"
        source = f"{self.revision[:9]}{'+changes' if self.dirty else ''}" if self.revision else self.vlbench
        return f"{device} | torch {self.torch} | Python {self.python} | vlbench {source}"

    @property
    def machine_class(self) -> str:
        """What must agree for times to be comparable, in one line. What is not known is left out."""
        return " | ".join(f"{name} {value}" for name, value in _class_of(self).items() if value is not None)


def comparable(one: Fingerprint, other: Fingerprint) -> list[str]:
    """The differences that forbid comparing times, in words; empty exactly when the machine classes are equal.

    Something that only one side knows is a difference. What neither knows is not: a machine that never tells its
    power limit could otherwise not be compared with itself.
    """
    theirs = _class_of(other)
    return [
        f"{name}: {value or 'none or not known'} against {theirs[name] or 'none or not known'}"
        for name, value in _class_of(one).items()
        if value != theirs[name]
    ]


def _class_of(fingerprint: Fingerprint) -> dict[str, str | None]:
    limit = fingerprint.power_limit_w
    return {
        "GPU": fingerprint.gpu,
        "board": fingerprint.gpu_board,
        "MIG": None if fingerprint.mig is None else "on" if fingerprint.mig else "off",
        "power limit": None if limit is None else f"{limit:.0f} W",
        "cuDNN": fingerprint.cudnn,
        "attention": ", ".join(fingerprint.attention or ()) or None,
        "CPU": fingerprint.cpu,
        "torch": fingerprint.torch,
        "Python": ".".join(fingerprint.python.split(".")[:2]),
    }


def take_fingerprint(device: str) -> Fingerprint:
    """The fingerprint of this machine, for measurements on `device` ("cpu", "cuda"). Imports torch."""
    import psutil
    import torch

    revision, dirty = _revision()
    lscpu = _lscpu()
    return Fingerprint(
        vlbench=__version__,
        revision=revision,
        dirty=dirty,
        python=platform.python_version(),
        torch=torch.__version__,
        torch_threads=torch.get_num_threads(),
        libraries={name: found for name in LIBRARIES if (found := _version(name))},
        os=f"{platform.system()} {platform.release()}",
        hypervisor=lscpu.get("Hypervisor vendor", "none") if lscpu else None,
        cpu=_cpu_name() or lscpu.get("Model name") or platform.processor() or platform.machine(),
        physical_cores=psutil.cpu_count(logical=False),
        cores=psutil.cpu_count() or 1,
        memory_gb=_gib(psutil.virtual_memory().total),
        **(_gpu() if device == "cuda" else {}),
    )


def _gpu() -> dict[str, Any]:
    """The fields of the visible GPU: CUDA's device 0, and its board as NVML knows it."""
    import torch

    seen = torch.cuda.get_device_properties(0)
    fields: dict[str, Any] = {"gpu": seen.name, "gpu_memory_gb": _gib(seen.total_memory), "cuda": torch.version.cuda}
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    fields |= {"cudnn": dotted(cudnn), "attention": _attention()}
    with tf32_turned_off():
        fields["fp32"] = precisions()
    fields["variables"] = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    board = visible_board()
    if board is None:
        return fields
    milliwatts = board.ask("nvmlDeviceGetEnforcedPowerLimit")
    return fields | {
        "gpu_uuid": board.uuid,
        "gpu_board": board.ask("nvmlDeviceGetBoardPartNumber") or None,  # some boards answer with an empty string
        "power_limit_w": None if milliwatts is None else milliwatts / 1000,
        "mig": board.mig(),
        "driver": board.driver(),
    }


def dotted(cudnn: int | None) -> str | None:
    """A version of cuDNN as torch tells it: 91900 is 9.19.0, and 8902 was 8.9.2, a digit less for the middle."""
    if cudnn is None:
        return None
    major, rest = divmod(cudnn, 10_000 if cudnn >= 90_000 else 1_000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _attention() -> tuple[str, ...] | None:
    """The order, which torch makes up in its first attention on a GPU; None for a torch that does not tell."""
    import torch
    from torch.nn import attention

    one = torch.zeros(1, 1, 8, 64, device="cuda", dtype=torch.float16)
    torch.nn.functional.scaled_dot_product_attention(one, one, one)
    told = getattr(attention, "_cur_sdpa_kernel_backends", None)
    if told is None:
        return None
    names = [each.name.removesuffix("_ATTENTION").lower() for each in told(with_priority=True)]
    return tuple(name for name in names if name != "overrideable")


def _gib(size: int) -> float:
    return round(size / 2**30, 1)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)


def _lscpu() -> dict[str, str]:
    """What lscpu prints, by heading; empty where there is no lscpu. It alone names hypervisors and ARM cores."""
    try:
        found = subprocess.run(
            ["lscpu"], capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"}
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    pairs = (line.partition(":") for line in found.splitlines())
    return {heading.strip(): value.strip() for heading, _, value in pairs}


def _revision() -> tuple[str | None, bool | None]:
    """Revision and state of the checkout that vlbench was imported from, if it is one."""
    root = FOLDER.parent
    if not (root / ".git").exists():
        return None, None
    revision, changes = git("-C", str(root), "rev-parse", "HEAD"), git("-C", str(root), "status", "--porcelain")
    return (None, None) if revision is None or changes is None else (revision, bool(changes))
