"""What compiled kernels need of a GPU, and the table of it.

`python -m tests.implementations.optimized.kernels.compiled` writes the table, of one version of Triton, whose compiler
it is. Written again it is read before it is committed: spills, fewer wide accesses, more registers are what changes
cost.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
import triton

from tests.implementations.optimized.kernels.kernel_files import VERSION, Edit, as_it_is, compiled
from vlbench.implementations.optimized.kernels import angles, norms, positions, rotation

ARCHITECTURES = (80, 90, 100)
TABLE = Path(__file__).parent / "tables" / f"{VERSION}.json"
NVDISASM = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "nvdisasm"
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
"""Of what ptxas logs of a kernel."""

PATCHES, HEADS = 48, 16
"""So many patches, as their number is passed as it is; and the heads of the released towers."""


def _rotation(head_dim: int, dtype: torch.dtype) -> None:
    halves = torch.zeros(PATCHES, head_dim // 2)
    rotation.turn_on_gpu(torch.zeros(PATCHES, 3 * HEADS * head_dim, dtype=dtype), halves, halves.clone(), HEADS)


def _positions() -> None:
    items = torch.tensor([[4, 12, 0, PATCHES]])
    positions.resample_on_gpu(items, torch.zeros(48 * 48, 1152, dtype=torch.bfloat16), 48, 2, PATCHES, torch.bfloat16)


def _norms(width: int, centred: bool, adds: bool) -> None:
    x, weight = torch.zeros(PATCHES, width, dtype=torch.bfloat16), torch.zeros(width, dtype=torch.bfloat16)
    bias = weight.clone() if centred else None
    if adds:
        norms.add_and_normalise_on_gpu(x, x.clone(), weight, bias, 1e-6)
    else:
        norms.normalise_on_gpu(x, weight, bias, 1e-6)


KERNELS: dict[str, Callable[[], object]] = {
    "rotation bfloat16 64": lambda: _rotation(64, torch.bfloat16),
    "rotation bfloat16 72": lambda: _rotation(72, torch.bfloat16),
    "rotation bfloat16 80": lambda: _rotation(80, torch.bfloat16),
    "rotation float32 80": lambda: _rotation(80, torch.float32),
    "angles 80": lambda: angles.cos_and_sin_on_gpu(torch.zeros(PATCHES, 2, dtype=torch.int64), torch.zeros(20)),
    "positions bfloat16 1152": _positions,
    "norms bfloat16 1280 rms": lambda: _norms(1280, False, False),
    "norms bfloat16 1280 rms, sum": lambda: _norms(1280, False, True),
    "norms bfloat16 1152 layer, sum": lambda: _norms(1152, True, True),
}
"""A launch of each, with the shapes of the released towers."""


def needs(name: str, arch: int, monkeypatch: pytest.MonkeyPatch, folder: Path, edit: Edit = as_it_is) -> dict[str, Any]:
    """What the launch of this name needs on sm_`arch`."""
    with compiled(monkeypatch, folder, arch, edit) as found, redirect_stdout(StringIO()) as log:
        KERNELS[name]()
    (kernel,) = found
    return measured(kernel, log.getvalue(), folder)


def measured(kernel: Any, log: str, folder: Path) -> dict[str, Any]:
    """Registers, bytes of shared memory, stack and spills, accesses to memory by their bits, and FFMA instructions."""
    path = folder / "kernel.cubin"
    path.write_bytes(kernel.asm["cubin"])
    code = subprocess.run([NVDISASM, "-c", path], capture_output=True, text=True, check=True).stdout
    stack, stored, loaded = map(int, FRAME.findall(log)[-1])
    return {
        "registers": int(re.findall(r"Used (\d+) registers", log)[-1]),
        "shared": kernel.metadata.shared,
        "stack": stack,
        "spills": stored + loaded,
        "loads": _widths(code, "LDG"),
        "stores": _widths(code, "STG"),
        "ffma": len(re.findall(r"\bFFMA\d*\b", code)),
    }


def _widths(code: str, operation: str) -> dict[str, int]:
    """How many accesses there are of so many bits."""
    found = Counter[str]()
    for suffixes in re.findall(rf"\b{operation}\.E([.\w]*)", code):
        of = set(suffixes.split("."))
        found[next((bits for bits in ("256", "128", "64") if bits in of), "16" if of & {"U16", "S16"} else "32")] += 1
    return dict(sorted(found.items()))


def main() -> None:
    """Write the table."""
    monkeypatch = pytest.MonkeyPatch()
    with tempfile.TemporaryDirectory() as folder:
        table = {
            name: {f"sm_{arch}": needs(name, arch, monkeypatch, Path(folder)) for arch in ARCHITECTURES}
            for name in KERNELS
        }
    TABLE.parent.mkdir(exist_ok=True)
    rows = [
        f" {json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(arch)}: {json.dumps(found)}" for arch, found in each.items())
        + "\n }"
        for name, each in table.items()
    ]
    TABLE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
