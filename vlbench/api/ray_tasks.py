"""Parts of a plan as tasks of Ray: what a worker runs, and how its words and its results come back.

A task is `vlbench run --plan FILE --shard i/n` in a process of its own, which ends with Ray's worker. Ray is imported
only where it is used, and torch nowhere: a worker of Ray loads this file.
"""

import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from vlbench.errors import UsageError, in_one_line
from vlbench.process.child import exit_reason, portable_environment
from vlbench.process.scratch import Scratch
from vlbench.process.start import PARENT

LOCAL = "local"
"""The address of a Ray that is started here, and ends with the command."""
ANSWER = 40.0
"""Seconds in which a cluster has to answer; Ray itself says after some 35 that it does not."""
STORE = 100_000_000
"""Bytes of the object store of a Ray that is started here: a part's results are a few MB."""
NICE = "RAY_worker_niceness"
"""The variable by which Ray's workers step back behind all else on a machine, by default by 15: that would be timed."""
LOOK = 0.5
"""Seconds between two looks at what tasks say."""
PROBE = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR')"


class Message(NamedTuple):
    """What a task says: `begun` and where, `said` and a line or "", `came` and the results, or `failed` and why."""

    kind: str
    text: str


@dataclass(frozen=True)
class Work:
    """What all tasks of a fleet have in common."""

    plan: str
    """The text of the plan."""
    options: tuple[str, ...]
    """Further options of `vlbench run --plan`."""
    folder: str | None
    """Where it is run, if it is there; None for the folder that Ray has sent."""
    cpus: int
    """Of a node, for each task."""
    gpu: bool
    """Does each take a GPU of its own?"""
    beat: float
    """Seconds between two signs of life."""


def run_part(work: Work, shard: str) -> Iterator[Message]:
    """Run a part where this is called, and tell of it as it goes on: this is what a task of Ray does."""
    with Scratch() as own:
        plan, out = Path(own, "plan.jsonl"), Path(own, "part.json")
        plan.write_text(work.plan)
        folder = work.folder if work.folder and Path(work.folder).is_dir() else own if work.folder else os.getcwd()
        board = {"CUDA_VISIBLE_DEVICES": uuid_of(given_gpu())} if work.gpu else {}
        yield Message("begun", ", ".join([f"{platform.node()}, process {os.getpid()}", *board.values()]))
        arguments = ["--plan", str(plan), "--shard", shard, "--out", str(out), *work.options]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vlbench.process.start", "vlbench", "run", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
            env=portable_environment() | {PARENT: str(os.getpid())} | board,
        )
        try:
            last = ""
            for line in _lines(process, work.beat):
                last = line or last
                yield Message("said", line)
            code = process.wait()
            if out.is_file():
                yield Message("came", out.read_text())
            else:
                yield Message("failed", last.removeprefix("error: ") if code in (2, 6) else exit_reason(code, last))
        finally:
            process.kill()
            process.wait()


def _lines(process: subprocess.Popen[str], beat: float) -> Iterator[str]:
    """What it prints, and "" each time that it has been quiet for `beat` seconds, up to its end."""
    heard: SimpleQueue[str | None] = SimpleQueue()

    def listen() -> None:
        for line in process.stderr or ():
            heard.put(line.strip())
        heard.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            line = heard.get(timeout=beat)
        except Empty:
            yield ""
            continue
        if line is None:
            return
        yield line


def given_gpu() -> str:
    """The one GPU that Ray has set aside for the task which asks: a number, or a UUID."""
    import ray

    return str(ray.get_runtime_context().get_accelerator_ids()["GPU"][0])


def uuid_of(gpu: str) -> str:
    """The UUID of a GPU that is named by its number or its UUID: CUDA may number boards otherwise than the driver."""
    if not gpu.isdigit():
        return gpu
    import pynvml

    pynvml.nvmlInit()
    return str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(int(gpu))))


class RayTasks:
    """Starts parts as tasks of the Ray that this process is connected to, and hears what they say."""

    def __init__(self, work: Work) -> None:
        """Raises UsageError where no node could ever run one."""
        import ray

        self._work = work
        needs = {"CPU": float(work.cpus)} | ({"GPU": 1.0} if work.gpu else {})
        found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0.0) >= most for name, most in needs.items()) for node in found):
            wanted = " and ".join(f"{most:g} {name}" for name, most in needs.items())
            has = "; ".join(f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU" for node in found)
            raise UsageError(f"--ray: a part takes {wanted}, and no node has that ({has}); start one, or ask for less")
        # A part that is lost is tried again by us, who tell of it. No worker runs two parts, so none keeps a GPU.
        self._task = ray.remote(
            num_cpus=work.cpus, num_gpus=1 if work.gpu else 0, max_retries=0, max_calls=1, scheduling_strategy="SPREAD"
        )(run_part)

    def start(self, shard: str) -> Any:
        """Start a part; gives a handle of it."""
        return self._task.options(name=f"vlbench {shard}").remote(self._work, shard)

    def hear(self, handles: Sequence[Any]) -> list[tuple[Any, Message]]:
        """What tasks have said in about half a second, at most one thing each."""
        import ray

        ready, _ = ray.wait(list(handles), num_returns=len(handles), timeout=LOOK)
        return [(handle, self._next(handle)) for handle in ready]

    def _next(self, handle: Any) -> Message:
        import ray

        try:
            message: Message = ray.get(next(handle))
            return message
        except StopIteration:
            return Message("failed", "its task ended without a word")
        except ray.exceptions.RayError as error:
            return Message("failed", in_one_line(getattr(error, "cause", None) or error))

    def end(self, handle: Any) -> None:
        """End a task, and the processes that it has started."""
        import ray

        ray.cancel(handle, force=True)


def check_installed() -> None:
    """Raises UsageError where there is no Ray, without importing it."""
    if find_spec("ray") is None:
        raise UsageError("--ray: Ray is not installed; pip install 'vlbench[ray]'")


@contextmanager
def connected(address: str, send: Path | None) -> Iterator[None]:
    """Connected to the Ray at `address`, or to the one that this process is connected to already.

    `send` is a folder that each node gets a copy of. Raises UsageError for a Ray that does not answer in time.
    """
    check_installed()
    import ray

    if ray.is_initialized():
        if send:
            raise UsageError("--send: this process is connected to Ray already; give `working_dir` to ray.init")
        with redirect_stdout(sys.stderr):  # Ray prints there that a worker has died, and nothing turns that off
            yield
        return
    if "://" in address:
        told = "tasks cannot tell how they go on over Ray's client"
        raise UsageError(f"--ray {address}: {told}; run this on a node of the cluster, with --ray auto")
    given: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    given |= {"runtime_env": {"working_dir": str(send)}} if send else {}
    if address == LOCAL:
        given |= {"include_dashboard": False, "object_store_memory": STORE}
        os.environ.setdefault(NICE, "0")
    else:
        _probe(address)
    with _same_signals():
        try:
            ray.init(address, **given)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(f"--ray {address}: {in_one_line(error)}; give the address of another Ray") from None
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Raises UsageError where the Ray at `address` cannot be used from here: Ray may wait long, or end its process."""
    command = [sys.executable, "-P", "-c", PROBE, address]
    remedy = "give host:port of a running cluster's head, auto on one of its nodes, or local"
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=ANSWER)
    except subprocess.TimeoutExpired:
        raise UsageError(f"--ray {address}: no Ray answers there within {ANSWER:.0f} s; {remedy}") from None
    if done.returncode:
        raise UsageError(f"--ray {address}: cannot be used ({exit_reason(done.returncode, done.stderr)}); {remedy}")


@contextmanager
def _same_signals() -> Iterator[None]:
    """Signals that end us mean afterwards what they meant before: Ray puts a handler of its own in their place."""
    is_main = threading.current_thread() is threading.main_thread()
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT) if is_main}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
