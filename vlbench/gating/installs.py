"""What a workflow installs: vlbench from where it was installed here, and what the tower's repository needs."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from vlbench.untrusted.files import Kind, read_toml
from vlbench.version import FOLDER, __version__

PROJECT = Kind("mend it, since the workflow installs it", broken="{path}: not TOML ({why}); {remedy}")
EDITABLE, LISTED = "--editable", "--requirement"


@dataclass(frozen=True)
class Installs:
    """Arguments of `pip install`, as seen from the folder that a workflow works in."""

    arguments: tuple[str, ...]
    only_here: str = ""
    """A path or an address among them that no other machine can reach."""


def installs(folder: Path, top: Path, extra: str = "") -> Installs:
    """What a workflow in `folder` installs; `top` is that of its repository, and both are resolved.

    `extra` is one of vlbench's, such as "[peers]". Raises UsageError for a pyproject.toml that cannot be read.
    """
    theirs = list(_of_project(folder, top))
    if any(option == LISTED and _lists_vlbench(folder / file) for option, file in theirs):
        return Installs(tuple(word for pair in theirs for word in pair))
    ours = of_record(_record(), folder, top, extra)
    others = (word for pair in theirs if pair[1] + extra not in ours.arguments for word in pair)
    return Installs((*ours.arguments, *others), ours.only_here)


def of_record(record: Mapping[str, Any] | None, folder: Path, top: Path, extra: str = "") -> Installs:
    """vlbench as `direct_url.json` records where it came from; without a record it came from an index by its name."""
    if record is None:
        return Installs((f"vlbench{extra}=={__version__}",))
    url, at = record["url"], f"#subdirectory={record['subdirectory']}" if record.get("subdirectory") else ""
    named = f"vlbench{extra} @ " if extra else ""  # pip takes no name before git+file:
    if vcs := record.get("vcs_info"):
        source = f"{vcs['vcs']}+{url}@{vcs['commit_id']}{at}"
        return Installs((named + source,), source if url.startswith("file:") else "")
    if not url.startswith("file:"):
        return Installs((f"{named}{url}{at}",))
    path = Path(unquote(urlsplit(url).path)) / record.get("subdirectory", "")
    inside = path.is_relative_to(top)
    source = (_seen(path, folder) if inside else str(path)) + extra
    editable = (EDITABLE,) if record.get("dir_info", {}).get("editable") else ()
    return Installs((*editable, source), "" if inside else str(path))


def _record() -> Mapping[str, Any] | None:
    """PEP 610's record of this vlbench. One that nobody installed is taken as it lies, to be edited in place."""
    try:
        text = distribution("vlbench").read_text("direct_url.json")
    except PackageNotFoundError:
        return {"url": FOLDER.parent.resolve().as_uri(), "dir_info": {"editable": True}}
    found: Mapping[str, Any] | None = json.loads(text) if text else None
    return found


def _of_project(folder: Path, top: Path) -> Iterator[tuple[str, str]]:
    """The requirements and the package of the nearest folder upwards, to `top`, that has either."""
    for place in (each for each in (folder, *folder.parents) if each.is_relative_to(top)):
        listed, built = (place / "requirements.txt").is_file(), _is_package(place)
        if listed:
            yield LISTED, _seen(place / "requirements.txt", folder)
        if built:
            yield EDITABLE, _seen(place, folder)
        if listed or built:
            return


def _is_package(folder: Path) -> bool:
    """Can pip install it? A pyproject.toml may hold settings of tools alone."""
    project = folder / "pyproject.toml"
    if any((folder / name).is_file() for name in ("setup.py", "setup.cfg")):
        return True
    return project.is_file() and not {"project", "build-system"}.isdisjoint(read_toml(project, PROJECT))


def _lists_vlbench(requirements: Path) -> bool:
    """Do they name vlbench themselves? It can come from one place only."""
    text = requirements.read_text(errors="replace")
    return bool(re.search(r"^\s*vlbench(?![\w.-])|[/=]vlbench(?:[-@#.]|$)", text, re.MULTILINE))


def _seen(path: Path, folder: Path) -> str:
    """`path` from `folder`, so that pip takes it for a path."""
    found = Path(os.path.relpath(path, folder)).as_posix()
    return found if found.startswith(".") or path.name == "requirements.txt" else f"./{found}"
