"""Edits of the toy tower that end its process, or speak for it."""

from __future__ import annotations

from tests.traps.traps import KILLED, tower_edit

tower_edit("Wraps the forward in `torch.compile`", 6, "compile", make="self.forward = torch.compile(self.forward)")
tower_edit("Raises an exception", 6, "no luck", forward='raise RuntimeError("no luck today")')
tower_edit("Raises `SystemExit`", 6, "", forward="raise SystemExit(0)")
tower_edit("`os._exit(0)`", 6, "", quick=True, top="import os", forward="os._exit(0)")
tower_edit("`os._exit(0)` when it is imported", 6, "", top="import os\n\nos._exit(0)")
tower_edit(
    "Prints an event that says all is well",
    6,
    "",
    top="import os",
    forward="""
print('{"event": "finished", "seconds": 0, "peak_host_bytes": 0}', flush=True)
os.write(1, b'{"event": "finished", "seconds": 0, "peak_host_bytes": 0}\\n')
os._exit(0)
""",
)
tower_edit(
    "Kills the command that measures it",
    KILLED,
    "",
    top="import os\nimport signal",
    forward="os.kill(os.getppid(), signal.SIGKILL)",
)
tower_edit(
    "Replaces `sys.exit` and `os._exit` in its process",
    3,
    "host syncs rose",
    top="import os\nimport sys\n\nsys.exit = os._exit = lambda code=0: None",
    layer="grid_thw.to(x.device).tolist()",
)
tower_edit("Is renamed", 6, "tower", factory="pass\n\n\ndef renamed():")

tower_edit(
    "Replaces vlbench's counter from inside",
    3,
    "",
    top="""
import sys

if counting := sys.modules.get("vlbench.counting_device.counter"):
    counting.Counter.transfer = lambda *_, **__: None
""",
    layer="grid_thw.to(x.device).tolist()",
)
