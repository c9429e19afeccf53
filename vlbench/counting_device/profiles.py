"""The GPUs the counting device can claim to be: what CUDA would answer about each of them."""

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

from vlbench.errors import UsageError

CUDNN = "9.19"
"""The cuDNN that every profile answers for unless another is named: that of torch 2.11's wheels for CUDA 13."""
VERSION = re.compile(r"9\.(\d{1,2})(?:\.(\d{1,2})(?:\.\d+)?)?", re.ASCII)
"""Of cuDNN 9, as people write it: "9.15.1", or "9.19.0.56" as a wheel has it."""


@dataclass(frozen=True)
class Profile:
    """The properties code asks for before it chooses a path, as `torch.cuda.get_device_properties` names them."""

    name: str
    major: int
    minor: int
    total_memory: int  # bytes
    multi_processor_count: int
    shared_memory_per_block_optin: int  # bytes
    L2_cache_size: int  # bytes
    warp_size: int = 32
    max_threads_per_block: int = 1024
    shared_memory_per_block: int = 48 * 1024
    regs_per_multiprocessor: int = 65_536
    is_integrated: bool = False
    is_multi_gpu_board: bool = False
    cudnn: str = CUDNN
    """Its version, which decides how torch attends; never the one that is installed."""

    @property
    def capability(self) -> tuple[int, int]:
        """Major and minor version."""
        return self.major, self.minor

    @property
    def card(self) -> str:
        """What people call it, such as "h100"."""
        return re.split("[ -]", self.name)[1].lower()

    @property
    def cudnn_version(self) -> int:
        """As torch has it: 91900 of "9.19"."""
        _, minor, patch = (*map(int, self.cudnn.split(".")), 0)[:3]
        return 90_000 + 100 * minor + patch

    @property
    def prefers_cudnn(self) -> bool:
        """Does torch ask cuDNN for attention before all others (sdp_utils.cpp, check_prefer_cudnn_attention)?"""
        return self.cudnn_version > 91_500 and self.major in (9, 10)


_GIB, _MIB, _KIB = 2**30, 2**20, 2**10

# NVIDIA's data sheets and the CUDA C++ programming guide, table "Technical Specifications per Compute Capability".
PROFILES = {
    "sm_75": Profile("Tesla T4", 7, 5, 15 * _GIB, 40, 64 * _KIB, 4 * _MIB),
    "sm_80": Profile("NVIDIA A100-SXM4-80GB", 8, 0, 80 * _GIB, 108, 163 * _KIB, 40 * _MIB),
    "sm_86": Profile("NVIDIA A10", 8, 6, 22 * _GIB, 72, 99 * _KIB, 6 * _MIB),
    "sm_89": Profile("NVIDIA L40S", 8, 9, 45 * _GIB, 142, 99 * _KIB, 96 * _MIB),
    "sm_90": Profile("NVIDIA H100 80GB HBM3", 9, 0, 80 * _GIB, 132, 227 * _KIB, 50 * _MIB),
    "sm_100": Profile("NVIDIA B200", 10, 0, 180 * _GIB, 148, 227 * _KIB, 126 * _MIB),
}

GPUS = {
    "sm_75": "T4",
    "sm_80": "A100 A800 A30",
    "sm_86": "A10 A10G A40 A6000 3090",
    "sm_89": "L4 L40 L40S 4090",
    "sm_90": "H100 H200 H800 H20 GH200",
    "sm_100": "B100 B200 GB200",
}
"""The words by which people call GPUs of each compute capability; source: NVIDIA's list of CUDA GPUs."""


def known_gpu(name: str) -> tuple[str, str] | None:
    """The GPU that `name` speaks of and its profile, such as ("A100", "sm_80") of "a100-80gb"; None of what is none."""
    called = {gpu.lower(): (gpu, each) for each, gpus in GPUS.items() for gpu in gpus.split()}
    return next((called[word] for word in re.findall("[a-z0-9]+", name.lower()) if word in called), None)


def cudnn_of(text: str, named: str = "--cudnn") -> str:
    """A version of cuDNN as it is kept: "9.19" of "9.19.0.56", "9.15.1" of itself; UsageError for what is none.

    `named` is what the text was given as.
    """
    found = VERSION.fullmatch(text)
    if found is None:
        raise UsageError(f"{named} {text or repr(text)}: no version of cuDNN 9; write it as 9.19 or 9.15.1")
    minor, patch = int(found[1]), int(found[2] or 0)
    return f"9.{minor}.{patch}" if patch else f"9.{minor}"


def profile(name: str, cudnn: str = "", named: str = "--as") -> Profile:
    """The profile called `name`, as in `--as sm_90`, with its own version of cuDNN or this one.

    UsageError where there is none; `named` is what the name was given as.
    """
    if name not in PROFILES:
        names = {each: (each, found.card, f"{found.major}.{found.minor}") for each, found in PROFILES.items()}
        known = {word: each for each, words in names.items() for word in words}
        gpu = known_gpu(name)
        close = [gpu[1]] if gpu else [known[each] for each in get_close_matches(name.lower(), known, n=1, cutoff=0.75)]
        near = [f"did you mean {each}? " for each in close]
        told = f"{named} {name or repr(name)}: no such GPU profile; "
        raise UsageError(f"{told}{''.join(near)}choose one of {', '.join(PROFILES)}")
    return replace(PROFILES[name], cudnn=cudnn_of(cudnn)) if cudnn else PROFILES[name]
