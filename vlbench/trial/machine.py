"""The machine told by a process of its own where it has a GPU: `python -m vlbench.trial.machine`.

Whoever asks CUDA keeps a context to its end, and a board in EXCLUSIVE_PROCESS mode has room for one process: with a
context in the process that starts all others, none of these would find room.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter
from rich.console import Console

from vlbench.errors import UsageError
from vlbench.process.child import Child, ChildError
from vlbench.process.messages import Message, Refused
from vlbench.process.parent import Parent, serve
from vlbench.record.fingerprint import Fingerprint, take_fingerprint
from vlbench.record.machine_card import MachineCard
from vlbench.record.precision import turn_tf32_off
from vlbench.trial.card import measured_card, take_machine_card

TIMEOUT = 300.0
"""Seconds, of which the card takes two and the start of CUDA a few."""


class Wanted(Message):
    """Is the card wanted, too?"""

    card: bool


class Machine(Message):
    """What the machine is, and what it can do."""

    event: Literal["machine"] = "machine"
    fingerprint: Fingerprint
    card: MachineCard | None


SAID: TypeAdapter[Machine | Refused] = TypeAdapter(Annotated[Machine | Refused, Field(discriminator="event")])


def fingerprint_of(device: Literal["cpu", "cuda"]) -> Fingerprint:
    """The fingerprint alone. Raises UsageError where the GPU cannot be asked."""
    return machine_of(device, card=False)[0]


def machine_of(device: Literal["cpu", "cuda"], *, card: bool) -> tuple[Fingerprint, Callable[[], MachineCard | None]]:
    """The fingerprint, and what gives the card where it is wanted: on a CPU it is measured then, which takes seconds.

    Raises UsageError where the GPU cannot be asked.
    """
    if device == "cpu":
        return take_fingerprint("cpu"), lambda: measured_card("cpu") if card else None
    try:
        with (
            Console(stderr=True).status("asking the GPU", refresh_per_second=0.1),
            Child("vlbench.trial.machine", SAID, TIMEOUT) as child,
        ):
            child.tell(Wanted(card=card))
            said = child.hear()
    except ChildError as error:
        raise UsageError(f"--device cuda: the GPU cannot be asked what it is: {error.reason}") from None
    assert isinstance(said, Machine)  # a refusal is raised
    return said.fingerprint, lambda: said.card


def _work(parent: Parent) -> None:
    wanted = next(parent.hear(Wanted))
    turn_tf32_off()
    card = take_machine_card("cuda") if wanted.card else None
    parent.say(Machine(fingerprint=take_fingerprint("cuda"), card=card))


if __name__ == "__main__":
    serve(_work)
