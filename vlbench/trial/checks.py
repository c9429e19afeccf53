"""Checks in processes of their own, as whoever starts them sees them: torch is imported there alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from vlbench.errors import UsageError
from vlbench.process.child import Child, ChildError
from vlbench.process.messages import Message, Refused
from vlbench.record.outputs import StoredOutputs
from vlbench.record.work import Work
from vlbench.trial.job import EVENTS, Event, Finished, Job


class OwnCheck(Message):
    """What to check."""

    tower: str
    stored: StoredOutputs | None = None
    """None: there is nothing to compare with, and the outputs are wanted."""
    base: str | None = None
    """The same tower of another revision, `at:FOLDER:TOWER`: where weights differ, its are handed over, and its outputs
    are compared with."""
    dtype: str = "float32"
    """In which its work is wanted."""
    leave: Path | None = None
    """The tower leaves its weights in this file, and is called once, so that it is known to run."""
    handed: Path | None = None
    """A file with weights for it."""
    secret: int | None = None
    """The outputs are wanted as they are, on contents and further grids that are drawn from this."""
    patched: StoredOutputs | None = None
    """What a patched tower made of the same calls in a process that has ended: this tower, called now, judges it."""
    threads: int
    timeout: float = 600


class Outcome(Message):
    """What came of it."""

    event: Literal["outcome"] = "outcome"
    kind: Literal["right", "wrong", "unknown"]
    reason: str
    """One sentence."""
    outputs: StoredOutputs | None = None
    work: Work = ()
    """Of a small call on a CPU in `dtype`; nothing where that is not known."""
    dtype: str = ""
    elsewhere: str = ""
    """How it differs from that on the device; "" where it does not, or nothing is known."""
    moved: str = ""
    """Why a right result may be a rougher one, so that nothing is praised; "" where it is what was accepted."""


SAID: TypeAdapter[Outcome | Refused] = TypeAdapter(Annotated[Outcome | Refused, Field(discriminator="event")])


def check_own(check: OwnCheck, timeout: float, folder: Path | None = None, *, own_session: bool = False) -> Outcome:
    """Do it in a process of its own, which starts in `folder` or here."""
    try:
        with Child("vlbench.trial.own_check", SAID, timeout, folder=folder, own_session=own_session) as child:
            child.tell(check)
            outcome = child.hear()
    except (ChildError, UsageError) as error:
        return Outcome(kind="unknown", reason=getattr(error, "reason", None) or str(error))
    assert isinstance(outcome, Outcome)  # a refusal is raised
    return outcome


def run_checks(job: Job, timeout: float) -> Iterator[Event]:
    """The events of a job in a process of its own, as those of a trial. Raises UsageError and ChildError."""
    with Child("vlbench.trial.checker", EVENTS, timeout) as child:
        child.tell(job)
        yield from child.until(Finished)
