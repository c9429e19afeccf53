"""One call of a tool, done by a process of its own: what passes between the two, and the side that waits."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from vlbench.cli.tools import Found
from vlbench.errors import UsageError
from vlbench.process.child import Child, ChildError
from vlbench.process.messages import Message, Refused

WORKER = "vlbench.cli.tools.worker"


class Asked(Message):
    """A tool is called."""

    tool: str
    arguments: dict[str, Any]


class Said(Message):
    """What goes on."""

    event: Literal["said"] = "said"
    line: str


class Ended(Message):
    """It is done."""

    event: Literal["ended"] = "ended"
    found: Found


Event = Said | Ended | Refused
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


class Call:
    """A call, made by a thread while others look at it."""

    def __init__(self, tool: str, arguments: dict[str, Any], timeout: float) -> None:
        self._asked, self._timeout = Asked(tool=tool, arguments=arguments), timeout
        self._child: Child[Any] | None = None
        self._ended = False
        self.line = "starting"
        """What goes on."""

    def __call__(self) -> Found | str:
        """What was found, or in one sentence why nothing was."""
        tool = self._asked.tool
        try:
            with Child[Any](WORKER, EVENTS, self._timeout, name=tool, is_timed=False) as self._child:
                if self._ended:
                    self._child.kill()
                self._child.tell(self._asked)
                for event in self._child.until(Ended):
                    match event:
                        case Said(line=line):
                            self.line = line
                        case Ended(found=found):
                            return found
        except UsageError as error:
            return str(error)
        except ChildError as end:
            return f"{tool}: {end.reason}; the server goes on"
        raise AssertionError  # `until` ends with `Ended`, or raises

    def end(self) -> None:
        """Nobody waits for it any more."""
        self._ended = True
        if self._child is not None:
            self._child.kill()
