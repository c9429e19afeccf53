"""A terminal that shows what it is given and obeys none of it."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from vlbench.untrusted.names import terminal


class SafeConsole(Console):
    """Rich's console, through which no control character and no command of a CI runner gets out of a text.

    Its own colours and movements are kept; what it records for an SVG is clean, too. Nothing is highlighted, and
    brackets are brackets: names may hold both.
    """

    def __init__(self, **options: Any) -> None:
        """Takes the options of `rich.console.Console`."""
        super().__init__(**{"highlight": False, "markup": False, "emoji": False} | options)

    def render(self, renderable: RenderableType, options: Any = None) -> Iterable[Segment]:
        """As Rich renders it, cleaned."""
        return _cleaned(super().render(renderable, options))

    def status(self, status: RenderableType, **options: Any) -> Status:
        """As Rich shows it, but of a text no part is markup."""
        return super().status(Text(status) if isinstance(status, str) else status, **options)


def _cleaned(segments: Iterable[Segment]) -> Iterator[Segment]:
    for segment in segments:
        if segment.control or (cleaned := terminal(segment.text)) == segment.text:
            yield segment
        else:
            yield Segment(cleaned, segment.style)
