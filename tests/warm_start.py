"""Our worker processes, started in a moment: forked from one that has loaded torch.

A start costs two seconds of imports, and the tests start workers by the hundred. `python -m` of a worker is handed to a
waiting process, which forks; pipes, environment, folder, search path, signals and exit status are those of any other
child. What a fork cannot honour is started as ever: another program, another vlbench on the path, a variable that is
read while Python or torch starts. With VLBENCH_TESTS_COLD=1 everything is.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODULES = ("vlbench.trial.worker", "vlbench.counting.worker", "vlbench.revisions.worker")
READ_LATER = {"PYTHONPATH", "TORCHINDUCTOR_CACHE_DIR", "COLUMNS", "NO_COLOR", "TERM"}
"""Variables that may differ from those that the waiting process has; so may pytest's own."""
BEFORE = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # which tests/conftest.py sets
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: what is forked for us becomes our own child, to be waited for as any other."""


class WarmPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Lets the waiting process fork, where it can."""

    waiting: Waiting | None = None
    _lock = threading.Lock()

    def _execute_child(self, args: Any, *rest: Any) -> None:
        executable, preexec_fn, _, pass_fds, cwd, env, _, _, shell, *pipes = rest[:15]
        usual = not (executable or preexec_fn or pass_fds or shell)
        order = order_of(args, cwd, os.environ if env is None else env) if usual else None
        if order is None:
            super()._execute_child(args, *rest)  # type: ignore[misc]
            return
        with self._lock:
            WarmPopen.waiting = WarmPopen.waiting or Waiting()
            ours = (pipes[0], pipes[3], pipes[5])
            self.pid = WarmPopen.waiting.fork(order, [own if fd == -1 else fd for own, fd in enumerate(ours)])
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def order_of(args: Any, cwd: Any, env: Mapping[str, str]) -> dict[str, Any] | None:
    """What to run, for a start that a fork can stand for; None for any other."""
    safe = list(args[1:-1]) == ["-P", "-m"]
    if args[0] != sys.executable or args[-1] not in MODULES or not (safe or list(args[1:-1]) == ["-m"]):
        return None
    differ = {name for name in {*env, *BEFORE} if env.get(name) != BEFORE.get(name)}
    if any(name not in READ_LATER and not name.startswith("PYTEST_") for name in differ):
        return None
    folder = Path(cwd or ".").absolute()
    path = [str(folder / each) for each in env.get("PYTHONPATH", "").split(os.pathsep) if each]
    path = path if safe else [str(folder), *path]
    found = [Path(each, "vlbench") for each in path]
    if not folder.is_dir() or any(each.exists() and each.resolve() != ROOT / "vlbench" for each in found):
        return None
    return {"module": args[-1], "folder": str(folder), "path": path, "env": dict(env)}


class Waiting:
    """The process that forks, as its parent sees it."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self.orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                env=BEFORE | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def fork(self, order: dict[str, Any], fds: list[int]) -> int:
        """The id of a process that runs the order with these as its stdin, stdout and stderr."""
        socket.send_fds(self.orders, [json.dumps(order).encode()], fds)
        return int(self.orders.recv(32))

    def end(self) -> None:
        self.orders.close()
        self.process.wait()


def wait(orders: socket.socket) -> None:
    """Fork once for each order; returns in the processes that do the work, each when it is done."""
    ours = [each for each in sys.path if each != str(ROOT)]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, fds, _, _ = socket.recv_fds(orders, 1 << 20, 3)
        if not message:
            os._exit(0)
        reader, writer = os.pipe()
        if not (between := os.fork()):
            if child := os.fork():  # an orphan, at once, and so adopted by who wants it
                os.write(writer, str(child).encode())
                os._exit(0)
            orders.close()
            for own, fd in enumerate(fds):
                os.dup2(fd, own)
            os.closerange(3, max(*fds, reader, writer) + 1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            become(json.loads(message), ours)
            return
        child = os.read(reader, 32)
        os.waitpid(between, 0)
        for fd in (*fds, reader, writer):
            os.close(fd)
        orders.send(child)


def become(order: dict[str, Any], path: list[str]) -> None:
    """Run the module as Python does that is started with it."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["folder"])
    sys.path[:] = [*order["path"], *path]
    importlib.invalidate_caches()
    if any(Path(each, "sitecustomize.py").exists() for each in order["path"]):
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")
    del sys.modules[order["module"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for module in (*MODULES, "torch._dynamo"):  # which torch loads for many an operation of the counting device
        importlib.import_module(module)
    gc.freeze()  # nobody looks through these again
    wait(socket.socket(fileno=int(sys.argv[1])))
