"""Releases of a package as an index has them, each installed by pip into a folder of its own, where it stays.

What a release needs beside itself is what is installed here: nothing else is downloaded.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.process.scratch import Scratch

Version = tuple[int, ...]
_RELEASE = re.compile(r"\d+(\.\d+)*")
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]*")
_RANGE = re.compile(r"(\d+(?:\.\d+)*)\.\.(\d+(?:\.\d+)*)")
SECONDS = 300
"""For one call of pip."""


@dataclass(frozen=True)
class Release:
    """One that is there."""

    version: str
    folder: Path
    seconds: float | None = None
    """That installing it took; None where it was there before."""

    @property
    def words(self) -> str:
        """Where it comes from."""
        came = "there before" if self.seconds is None else f"installed in {self.seconds:.0f} s"
        return f"{self.version}: {came}, {self.folder}"


def number(version: str) -> Version:
    """As versions are ordered."""
    return tuple(map(int, version.split(".")))


def ends(text: str) -> tuple[str, str]:
    """Both ends of `5.19..5.23`. Raises UsageError."""
    if not (match := _RANGE.fullmatch(text)):
        raise UsageError(f"--over {text!r}: write it as FIRST..LAST, such as 5.19..5.23")
    if number(match[1]) > number(match[2]):
        raise UsageError(f"--over {text}: {match[1]} is newer than {match[2]}; write the older one first")
    return match[1], match[2]


def chosen(known: Sequence[str], text: str) -> list[str]:
    """Of the releases `known`, both ends and between them the newest of each minor. Raises UsageError."""
    first, last = ends(text)
    releases = sorted({each for each in known if _RELEASE.fullmatch(each)}, key=number)

    def newest(end: str) -> str:
        found = [each for each in releases if number(each)[: len(number(end))] == number(end)]
        if not found:
            near = ", ".join(releases[-5:]) or "none"
            raise UsageError(f"--over {text}: the index has no release {end}; its newest are {near}")
        return found[-1]

    low, high = newest(first), newest(last)
    minors = {number(each)[:2]: each for each in releases if number(low) <= number(each) <= number(high)}
    return sorted({low, *minors.values(), high} - _inside(minors, low, high), key=number)


def _inside(minors: dict[Version, str], low: str, high: str) -> set[str]:
    """The newest of the minor that an end names exactly, which is another release than that end."""
    return {each for end in (low, high) if (each := minors[number(end)[:2]]) not in (low, high)}


def known_releases(package: str) -> list[str]:
    """Those that pip finds. Raises UsageError where it finds none."""
    if not _PACKAGE.fullmatch(package):
        raise UsageError(f"{package!r} is no name that an index could have; name a package, such as transformers")
    said = _pip("index", "versions", package)
    if not (found := re.search(r"Available versions: (.*)", said)):
        raise UsageError(f"pip finds no releases of {package}; look whether its index is reachable")
    return found[1].replace(" ", "").split(",")


def kept_in() -> Path:
    """The folder in which releases stay; another Python may need other files of them."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "vlbench" / "releases" / str(sys.implementation.cache_tag)


def installed(package: str, version: str) -> Release:
    """The release in a folder of its own, which has all of it or is not there.

    Raises UsageError where it cannot be had as a wheel, or not be kept.
    """
    start, folder = time.monotonic(), kept_in() / f"{package}-{version}"
    if folder.is_dir():
        return Release(version, folder)
    with Scratch() as scratch:
        goal = Path(scratch) / "release"
        alone = ("--no-deps", "--no-compile", "--only-binary", ":all:")
        _pip("install", *alone, "--target", str(goal), f"{package}=={version}")
        draft = folder.with_name(f".{folder.name}.{os.getpid()}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(goal, draft)
            draft.rename(folder)
        except OSError as error:
            if not folder.is_dir():  # else another process was quicker
                raise UsageError(f"{folder}: cannot be written ({error.strerror}); set XDG_CACHE_HOME") from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Release(version, folder, time.monotonic() - start)


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check", "--no-input"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UsageError(f"pip {arguments[0]}: no end after {SECONDS} s; look whether its index is reachable") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        said = [line for line in lines if line.startswith("ERROR:")] or lines or ["it says nothing"]
        raise UsageError(f"pip {arguments[0]} {arguments[-1]}: {said[-1].removeprefix('ERROR: ')}")
    return done.stdout
