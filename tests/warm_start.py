"""Our processes, started in a moment: forked from one that has loaded torch.

A start costs two seconds of imports, and the tests start processes by the hundred. `python -m` of `vlbench`, of pytest
or of a worker is handed to a waiting process, which forks; pipes, environment, folder, search path, group, signals and
exit status are those of any other child. Whoever starts processes itself has a waiting process of its own, forked
before it does anything else. What a fork cannot honour is started as ever: another program, another vlbench on the
path, a variable that is read while Python or torch starts. With VLBENCH_TESTS_COLD=1 everything is.
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
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from vlbench.process.child import ASLEEP

Order = dict[str, Any]

ROOT = Path(__file__).parents[1]
START = "vlbench.process.start"
WORKERS = (
    "vlbench.trial.worker",
    "vlbench.trial.checker",
    "vlbench.trial.judged",
    "vlbench.trial.own_check",
    "vlbench.trial.machine",
    "vlbench.counting.worker",
    "vlbench.counting.capture_worker",
    "vlbench.predicting.worker",
    "vlbench.gating.listing",
    "vlbench.revisions.worker",
    "vlbench.surveying.worker",
)
COMMANDS = ("vlbench.cli", "vlbench.api.running", "vlbench.api.verdicts", "vlbench.comparing.timed_cells")
"""What commands load: the last brings scipy, a second."""
STARTING = {"vlbench", "pytest", "vlbench.trial.checker", "vlbench.trial.own_check"}
"""Those that start others of ours."""
READ_LATER = {
    "PYTHONPATH",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
    "TMPDIR",
    "CI",
    "COLUMNS",
    "NO_COLOR",
    "OMP_WAIT_POLICY",
    "TERM",
    "HOME",
    "USERPROFILE",
    "PY_COLORS",
}
"""Variables that may differ from those that the waiting process has. Threads of what it forks sleep while they wait."""
OF_OTHERS = ("PYTEST_", "GIT_", "_TORCHINDUCTOR_", "VLBENCH_CHILD_")
"""So may those of other programs, what torch tells itself, and what each child of ours is told."""
BEFORE = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # which tests/conftest.py sets
INSTALLED = tuple(sys.path)
"""Where the waiting process finds modules, which has no PYTHONPATH."""
_end = os._exit
"""As it is before a tower is imported that puts something else in its place."""
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: what is forked for us becomes our own child, to be waited for as any other."""
GROUP = os.getpid()
"""The process group of all that wait, in these."""


class WarmPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Forks, where that makes no difference."""

    waiting: Waiting | None = None

    def _execute_child(self, args: Any, *rest: Any) -> None:
        executable, preexec_fn, _, pass_fds, cwd, env, _, _, shell, *pipes = rest[:15]
        usual = not (executable or preexec_fn or pass_fds or shell)
        order = order_of(list(args), cwd, os.environ if env is None else env) if usual else None
        if order is None:
            super()._execute_child(args, *rest)  # type: ignore[misc]
            return
        WarmPopen.waiting = self.waiting or Waiting.started()
        fds = [own if fd == -1 else fd for own, fd in enumerate((pipes[0], pipes[3], pipes[5]))]
        self.pid = WarmPopen.waiting.fork(order, fds)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def order_of(args: list[Any], cwd: Any, env: Mapping[str, str]) -> Order | None:
    """What to run, for a start that a fork can stand for; None for any other."""
    words = [*map(str, args)]
    if safe := words[1:2] == ["-P"]:
        del words[1]
    if words[:2] != [sys.executable, "-m"] or not {*words[2:4]} & {*WORKERS, *STARTING}:
        return None
    module, *words = words[2:]
    differ = {name for name in {*env, *BEFORE} if env.get(name) != BEFORE.get(name)}
    if any(name not in READ_LATER and not name.startswith(OF_OTHERS) for name in differ):
        return None
    folder = Path(cwd or ".").absolute()
    path = [str(folder / each) for each in env.get("PYTHONPATH", "").split(os.pathsep) if each]
    path = path if safe else [str(folder), *path]
    found = [Path(each, "vlbench") for each in path]
    if not folder.is_dir() or any(each.exists() and each.resolve() != ROOT / "vlbench" for each in found):
        return None
    order = {"module": module, "words": words, "folder": str(folder), "path": path, "env": dict(env)}
    return order | {"group": os.getpgrp()}


class Waiting:
    """The process that forks, as its parent sees it."""

    def __init__(self, orders: socket.socket, process: subprocess.Popen[bytes] | None = None) -> None:
        self._orders, self._process, self._lock = orders, process, threading.Lock()
        self.group = process.pid if process else GROUP
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)

    @classmethod
    def started(cls) -> Waiting:
        """One that loads what is needed."""
        orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                env={name: value for name, value in BEFORE.items() if name != "PYTHONPATH"} | ASLEEP,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return cls(orders, process)

    @classmethod
    def forked(cls) -> Waiting:
        """One that is forked from this process, which has done nothing yet."""
        orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if not os.fork():
            orders.close()
            null = os.open(os.devnull, os.O_RDWR)
            for fd in range(3):  # whoever reads what its parent writes is not kept waiting
                os.dup2(null, fd)
            wait(theirs)
        theirs.close()
        return cls(orders)

    def fork(self, order: Order, fds: list[int]) -> int:
        """The id of a process that runs the order with these as its stdin, stdout and stderr."""
        with self._lock:
            with suppress(ChildProcessError):
                while os.waitpid(-self.group, os.WNOHANG)[0]:
                    pass  # it waited for one that has ended before it, and so was left to this process
            socket.send_fds(self._orders, [json.dumps(order).encode()], fds)
            return int(self._orders.recv(32))

    def end(self) -> None:
        """Let it end."""
        self._orders.close()
        if self._process:
            self._process.wait()


def wait(orders: socket.socket) -> NoReturn:
    """Fork once for each order, until there are none to come."""
    os.setpgid(0, GROUP)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, fds, _, _ = socket.recv_fds(orders, 1 << 20, 3)
        if not message:
            os._exit(0)
        reader, writer = os.pipe()
        if not (between := os.fork()):
            child = fork_here(json.loads(message), fds)
            os.write(writer, str(child).encode())
            os._exit(0)  # the child is an orphan, and so is adopted by who asked for it
        child = os.read(reader, 32)
        os.waitpid(between, 0)
        for fd in (*fds, reader, writer):
            os.close(fd)
        orders.send(child)


def fork_here(order: Order, fds: list[int]) -> int:
    """A child of this process that runs the order, as Python does that is started for it; returns its id.

    It begins when it has been adopted: the end of this process must not pass for that of its parent.
    """
    middle = os.getpid()
    if child := os.fork():
        return child
    while os.getppid() == middle:
        time.sleep(0.0005)
    code: object = 1
    try:
        for own, fd in enumerate(fds):
            os.dup2(fd, own)
        os.closerange(3, 4096)
        _become(order)
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        _end(code if isinstance(code, int) else 1)


def _become(order: Order) -> None:
    """Nothing of this process is left to be seen but the modules that it has loaded."""
    if {order["module"], *order["words"][:1]} & STARTING:
        WarmPopen.waiting, subprocess.Popen = Waiting.forked(), WarmPopen  # type: ignore[misc]
    os.setpgid(0, order["group"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["folder"])
    tempfile.tempdir = None
    sys.argv[1:] = order["words"]
    sys.path[:] = [*order["path"], *INSTALLED]
    importlib.invalidate_caches()
    for path in (Path(each, "sitecustomize.py") for each in order["path"]):
        if path.exists() and str(path) != getattr(sys.modules.get("sitecustomize"), "__file__", None):
            sys.modules.pop("sitecustomize", None)
            importlib.import_module("sitecustomize")
            break
    if order["module"] == START:
        del sys.modules[order["words"][0]]


if __name__ == "__main__":
    for loaded in (*WORKERS, *COMMANDS, "pytest", "torch._dynamo"):  # the last for many of the counting device
        importlib.import_module(loaded)
    gc.freeze()  # nobody looks through these again
    wait(socket.socket(fileno=int(sys.argv[1])))
