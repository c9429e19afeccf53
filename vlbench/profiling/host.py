"""Where the host's time goes, by pyinstrument: it samples the Python stack instead of hooking into calls."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyinstrument import Profiler
from pyinstrument.frame import Frame
from pyinstrument.frame_ops import delete_frame_from_tree
from pyinstrument.renderers import ConsoleRenderer, FrameRenderer, HTMLRenderer, JSONRenderer, SpeedscopeRenderer
from pyinstrument.session import Session

# Installed, our own code lies among the libraries, whose frames are folded.
_OURS = {"show_regex": r".*[\\/]vlbench[\\/].*"}
_MODULE_CALLS = ("_wrapped_call_impl", "_call_impl")


def profile_host(call: Callable[[], object], forwards: int, interval: float = 1e-3) -> Session:
    """Sample `forwards` calls every `interval` seconds of wall time, waits for a GPU included."""
    with Profiler(interval=interval, async_mode="disabled") as profiler:
        for _ in range(forwards):
            call()
    session = profiler.last_session
    assert session is not None  # the block above has ended
    return session


def tree(session: Session, *, color: bool = False) -> str:
    """The call tree as text; libraries folded, branches below 1 % left out."""
    return _render(session, ConsoleRenderer(unicode=True, color=color, processor_options=_OURS))


def tree_as_data(session: Session) -> Any:
    """The same tree for `--json`: function, file, line, time and children of every frame."""
    return json.loads(_render(session, JSONRenderer(processor_options=_OURS)))


def write_profile(session: Session, folder: Path) -> list[Path]:
    """Write `host.html`, a page that needs no network, and `host.speedscope.json` for speedscope.app."""
    page, flame = folder / "host.html", folder / "host.speedscope.json"
    html = HTMLRenderer()
    html.preprocessors.append(_without_module_calls)
    page.write_text(html.render(session), encoding="utf-8")
    flame.write_text(_render(session, SpeedscopeRenderer()), encoding="utf-8")
    return [page, flame]


def _render(session: Session, renderer: FrameRenderer) -> str:
    renderer.processors.insert(0, _without_module_calls)
    return renderer.render(session)


def _without_module_calls(frame: Frame | None, options: dict[str, Any]) -> Frame | None:
    """Take torch's frames between a module's call and its forward out of the tree.

    They are the same for all modules, so calls of one level would be added up as one, under the first one's name.
    """
    for child in list(frame.children) if frame else ():
        _without_module_calls(child, options)
        if child.function in _MODULE_CALLS:
            delete_frame_from_tree(child, replace_with="children")
    return frame
