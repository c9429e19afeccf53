"""A host, a board and events of round numbers, so that every figure can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable

from vlbench.kernel_times import Board
from vlbench.kernel_times.stored import Memory, Source, StoredBoard, TimeTable
from vlbench.predicting.host import Act, Host
from vlbench.predicting.kernels import By, Took
from vlbench.predicting.timeline import Step, Timeline, World, simulate, stretches
from vlbench.record.sequence import Event, Kind, Operand

Pairs = tuple[tuple[int, int], ...]
SOURCE = Source(
    package="made by hand", version="1", licence="none", copyright="none", taken="2026-11-29", changes="all"
)
MEMORY = Memory(bytes_per_s=1e12, factor=1.0, constant_us=2.0, l2_bytes=0, pcie_bytes_per_s=1e10)
HOST = Host(
    "round",
    {
        Act.LAUNCH: 10.0,
        Act.ATTENTION: 20.0,
        Act.VIEW: 1.0,
        Act.HOST: 3.0,
        Act.ALLOCATION: 2.0,
        Act.WAIT: 12.0,
        Act.READ_BACK: 7.0,
        Act.PAGEABLE: 5.0,
        Act.PINNED: 4.0,
        Act.PLAN: 30_000.0,
        Act.BEGIN: 6.0,
    },
)
LOW, HIGH = (World(HOST, dict.fromkeys(By, end)) for end in ("low", "high"))


def table(
    what: str, steps: tuple[int, ...], pairs: tuple[tuple[int, int], ...], us: float, head_dim: int = 0
) -> TimeTable:
    """A table in which everything takes as long as its step says: `us` for the first, more in proportion."""
    rows = tuple(tuple(us * step / steps[0] for step in steps) for _ in pairs)
    return TimeTable(
        what=what, engine="hand 1", kernel="one", dtype="bfloat16", head_dim=head_dim, steps=steps, pairs=pairs, us=rows
    )


BOARD = Board(
    StoredBoard(
        board="hand",
        gpu="made by hand",
        profile="sm_90",
        source=SOURCE,
        memory=MEMORY,
        tables=(
            table("product", (100, 200, 400), ((1000, 1000), (2000, 1000)), 50.0),
            table("attention", (1, 64, 128), ((16, 1), (16, 16), (16, 64)), 1.0, 80),
        ),
    )
)


def tensor(*shape: int) -> Operand:
    """Contiguous, in bfloat16."""
    strides = tuple(int(size) for size in _strides(shape))
    return Operand(shape, strides, "bfloat16")


def _strides(shape: tuple[int, ...]) -> list[int]:
    found, step = [0] * len(shape), 1
    for place in reversed(range(len(shape))):
        found[place] = step
        step *= shape[place]
    return found


def add(size: int = 500, stage: str = "") -> Event:
    """An elementwise operation on two tensors of so many elements."""
    return Event(Kind.OPERATION, "aten::add.Tensor", stage, (tensor(size), tensor(size)), (tensor(size),))


def mm(m: int, n: int = 1000, stage: str = "") -> Event:
    """A product [m, 1000] x [1000, n]."""
    return Event(Kind.OPERATION, "aten::mm", stage, (tensor(m, 1000), tensor(1000, n)), (tensor(m, n),))


def attend(batch: int = 1, length: int = 64, stage: str = "", *, new_plan: bool = False) -> Event:
    """A call over 16 heads of 80."""
    q = tensor(batch, 16, length, 80)
    name = "aten::_scaled_dot_product_cudnn_attention"
    return Event(Kind.OPERATION, name, stage, (q, q, q), (q,), attention="cudnn", new_plan=new_plan)


READ = Event(Kind.READ_BACK, "aten::_local_scalar_dense", bytes=8, blocking=True, line="tower.py:3")
VIEW = Event(Kind.VIEW, "aten::view")


def step(act: Act = Act.LAUNCH, us: float | None = None, *, waits: bool = False, stage: str = "") -> Step:
    """What takes the device `us` microseconds at least and twice that at most."""
    took = None if us is None else Took(us, us, 2 * us, By.BYTES)
    return Step(Event(Kind.OPERATION, "aten::add", stage), (act,), took, waits)


def run(steps: Iterable[Step], world: World) -> Timeline:
    """The timeline of these steps."""
    return simulate(stretches("", steps), world)
