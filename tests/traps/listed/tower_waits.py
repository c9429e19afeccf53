"""Edits of the toy tower that make the host wait, or copy. Each is code for a place in it, see `tests.traps.toy`."""

from __future__ import annotations

from tests.traps.traps import tower_edit

tower_edit("`.tolist()` in every layer", 3, "read-back 0 -> 3", quick=True, layer="grid_thw.to(x.device).tolist()")
tower_edit(
    "`.item()` in a loop",
    3,
    "host syncs rose from 0 to 8",
    forward="for _ in range(4):\n    grid_thw.to(pixels.device, non_blocking=True).sum().item()",
)
tower_edit(
    "A branch on `isfinite` in every layer",
    3,
    "isfinite",
    layer="if not torch.isfinite(x).all():\n    x = x.clamp(-1, 1)",
)
tower_edit("A branch on a float of the picture", 3, "x.sum() > 0", layer="if x.sum() > 0:\n    x = x + 0")
tower_edit(
    "One tensor uploaded again in a loop",
    3,
    "upload 0 -> 4",
    forward="for _ in range(4):\n    torch.arange(9).to(pixels.device)",
)
tower_edit(
    "A copy from pageable memory", 3, "pageable uploads", forward="torch.ones(64).to(pixels.device, non_blocking=True)"
)
tower_edit(
    "`torch.cuda.synchronize()`",
    3,
    "host syncs rose from 0 to 1",
    end="if tokens.is_cuda:\n    torch.cuda.synchronize()",
)
tower_edit(
    "Something that no CPU can run, so that nobody can check it",
    6,
    "host syncs rose from 0 to 1",
    end="torch.cuda.synchronize()",
)
tower_edit(
    "A loop that waits for `event.query()`",
    3,
    "synchronize 0 -> 1",
    end="if tokens.is_cuda:\n    at = torch.cuda.Event()\n    at.record()\n    while not at.query():\n        pass",
)
tower_edit(
    "A wait inside of aten: `torch.linspace(0, t, 5)`", 3, "linspace", layer="torch.linspace(0, x.float().mean(), 5)"
)
tower_edit("A wait inside of aten: `x[mask]`", 3, "read-back 0 -> 1", end="tokens[tokens[:, 0] > 0]")
tower_edit(
    "A wait in a helper that several share",
    3,
    "tower.py",
    top="def length_of(grid, device):\n    return int(grid.to(device).prod(1).sum())",
    layer="length_of(grid_thw, x.device)",
)
tower_edit(
    "A wait in another thread",
    3,
    "host syncs rose",
    forward="""
import threading

waiting = threading.Thread(target=lambda: pixels.sum().item())
waiting.start()
waiting.join()
""",
)
tower_edit(
    "A wait outside of `inference_mode` alone",
    3,
    "host syncs",
    forward="if not torch.is_inference_mode_enabled():\n    pixels.sum().item()",
)
tower_edit(
    "A wait where gradients are on alone",
    3,
    "do not count alike: gradients on",
    forward="if torch.is_grad_enabled():\n    pixels.sum().item()",
)
tower_edit(
    "A wait from the third call on",
    3,
    "host syncs",
    make="self.calls = 0",
    forward="self.calls += 1\nif self.calls > 2:\n    pixels.sum().item()",
)
tower_edit("A wait for more than two items", 3, "host syncs", forward="if len(grid_thw) > 2:\n    pixels.sum().item()")
tower_edit(
    "A wait for five items and more",
    3,
    "host syncs (five items, small grid) rose from 0 to 1",
    forward="if len(grid_thw) >= 5:\n    pixels.sum().item()",
)
tower_edit(
    "A wait by the runtime below torch, where a `try` hides that it is missing",
    3,
    "host syncs",
    end="""
try:
    torch.cuda.cudart().cudaDeviceSynchronize()
except Exception:
    pass
""",
)
tower_edit("A wait for a single item", 3, "host syncs", forward="if len(grid_thw) == 1:\n    pixels.sum().item()")
tower_edit(
    "A wait where `CI` is set",
    3,
    "host syncs",
    top="import os",
    forward='if os.environ.get("CI"):\n    pixels.sum().item()',
    env={"CI": None},
)
tower_edit(
    "A wait where `CI` is not set",
    6,
    "runs on a CPU alone",
    top="import os",
    forward='if not os.environ.get("CI"):\n    pixels.sum().item()',
    env={"CI": "true"},
)
tower_edit(
    "A wait where `type(x) is torch.Tensor`",
    6,
    "runs on a CPU alone",
    forward="if type(pixels) is torch.Tensor:\n    pixels.sum().item()",
)
tower_edit(
    "A wait from the hundredth call in a process on",
    0,
    top="calls = [0]",
    forward="calls[0] += 1\nif calls[0] >= 100:\n    pixels.sum().item()",
    cannot="a tower is called some twenty times where it is counted, and nobody can call it for ever",
)
tower_edit(
    "A wait in float16 or float32 alone, or beyond 500 patches",
    0,
    forward="if pixels.dtype != torch.bfloat16 or len(pixels) > 500:\n    pixels.sum().item()",
    cannot="counts are of the cells' dtype and grids, and of small grids; a cell of that size or dtype counts it",
)
tower_edit(
    "A wait where nothing of torch's listens (`_get_current_dispatch_mode() is None`), few frames are on the stack, or "
    "Python was started without `-P`",
    0,
    top="import sys\n\nfrom torch.utils._python_dispatch import _get_current_dispatch_mode",
    forward="""
frame, depth = sys._getframe(), 0
while frame:
    frame, depth = frame.f_back, depth + 1
if _get_current_dispatch_mode() is None or depth < 6 or not sys.flags.safe_path:
    pixels.sum().item()
""",
    cannot="a tower can see how it is called; what it does then is in the patch, for a person to read",
)
tower_edit(
    "A wait through `ctypes` in a library of CUDA",
    0,
    top="import ctypes",
    end="""
try:
    ctypes.CDLL("libcudart.so").cudaDeviceSynchronize()
except OSError:
    pass
""",
    cannot="what does not go through torch is not seen; `vlbench nsys` on a GPU sees it",
)
tower_edit("An operation more in every layer", 3, "device operations rose", layer="x = x * 1")
tower_edit(
    "A wait under an allow-mark that nobody has accepted",
    3,
    "allow",
    layer='with vlbench.allow_sync("it is right"):\n    x.sum().item()',
)
tower_edit(
    "A wait under an allow-mark for several items alone",
    3,
    "allow",
    forward='if len(grid_thw) > 2:\n    with vlbench.allow_sync("it is right"):\n        pixels.sum().item()',
)

tower_edit("A wait in `.numpy()`", 3, "host syncs rose from 0 to 1", end="tokens.float().cpu().numpy()")
tower_edit("All of it on the CPU and back", 3, "read-back 0 -> 1", end="tokens = tokens.cpu().to(tokens.device)")
tower_edit("A wait inside of aten: `torch.unique`", 3, "unique", end="torch.unique(tokens)")
tower_edit(
    "A wait in a hook",
    3,
    "host syncs rose",
    make="self.merger.register_forward_hook(lambda module, given, made: (made.sum().item(), None)[1])",
)
tower_edit(
    "A wait in code that is in no file", 3, "host syncs rose", layer='exec("grid_thw.to(x.device).tolist()", locals())'
)
tower_edit(
    "A wait in a subclass of `Linear`, by its `__call__`",
    3,
    "host syncs rose",
    top="""
class Waits(nn.Linear):
    def __call__(self, x):
        x.sum().item()
        return super().__call__(x)
""",
    make="self.merger.__class__ = Waits",
)
tower_edit(
    "Writes over its baseline when it is imported",
    3,
    "host syncs rose",
    top="""
from pathlib import Path

for each in Path("results/baselines").glob("*"):
    each.write_text("")
""",
    layer="grid_thw.to(x.device).tolist()",
)
tower_edit(
    "Waits for the host: `time.sleep` in every layer",
    0,
    top="import time",
    layer="time.sleep(0.001)",
    cannot="counts hold what a GPU is asked for, and no time; a baseline with times, and `vlbench ab`, do",
)
tower_edit(
    "Counts otherwise where vlbench is imported",
    0,
    top="import sys",
    layer='if "vlbench.counting_device" not in sys.modules:\n    x.sum().item()',
    cannot="a tower can see who asks; what it does then is in the patch, for a person to read",
)
