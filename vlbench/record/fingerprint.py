"""The machine and the software that a result comes from."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict

import vlbench


class Fingerprint(BaseModel):
    """Enough to tell whether two results may be compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vlbench: str
    revision: str | None
    """git revision of vlbench's own source; None where it is not a checkout."""
    dirty: bool | None
    """Did that checkout hold uncommitted changes?"""
    python: str
    torch: str
    os: str
    cpu: str
    cores: int
    memory_gb: float
    gpu: str | None = None
    gpu_memory_gb: float | None = None
    cuda: str | None = None

    @property
    def line(self) -> str:
        """The environment in one line."""
        device = self.gpu or f"{self.cpu}, {self.cores} cores"
        source = f"{self.revision[:9]}{'+changes' if self.dirty else ''}" if self.revision else self.vlbench
        return f"{device} | torch {self.torch} | Python {self.python} | vlbench {source}"


def take_fingerprint(device: str) -> Fingerprint:
    """The fingerprint of this machine, for measurements on `device` ("cpu", "cuda"). Imports torch."""
    import psutil
    import torch

    revision, dirty = _revision()
    on_gpu = device == "cuda"
    return Fingerprint(
        vlbench=vlbench.__version__,
        revision=revision,
        dirty=dirty,
        python=platform.python_version(),
        torch=torch.__version__,
        os=f"{platform.system()} {platform.release()}",
        cpu=_cpu_name(),
        cores=psutil.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        gpu=torch.cuda.get_device_name() if on_gpu else None,
        gpu_memory_gb=round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1) if on_gpu else None,
        cuda=torch.version.cuda if on_gpu else None,
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _revision() -> tuple[str | None, bool | None]:
    """Revision and state of the checkout that vlbench was imported from, if it is one."""
    root = Path(vlbench.__file__).parents[1]
    if not (root / ".git").exists():
        return None, None

    def git(*args: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *args], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, None
