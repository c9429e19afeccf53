"""Releases of a package as an index has them, each unpacked into a folder of its own that is gone afterwards.

What a release needs beside itself is what is installed here: nothing else is downloaded.
"""

import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.process.scratch import Scratch

Version = tuple[int, ...]
_RELEASE = re.compile(r"\d+(\.\d+)*")
_RANGE = re.compile(r"(\d+(?:\.\d+)*)\.\.(\d+(?:\.\d+)*)")
SECONDS = 300
"""For one download."""


@dataclass(frozen=True)
class Release:
    """One that was downloaded."""

    version: str
    folder: Path
    bytes: int
    seconds: float

    @property
    def words(self) -> str:
        """What it cost."""
        return f"{self.version}: {self.bytes / 1e6:.1f} MB in {self.seconds:.0f} s"


def number(version: str) -> Version:
    """As versions are ordered."""
    return tuple(map(int, version.split(".")))


def ends(text: str) -> tuple[str, str]:
    """Both ends of `5.19..5.23`. Raises UsageError."""
    match = _RANGE.fullmatch(text)
    if not match:
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
    said = _pip("index", "versions", package)
    found = re.search(r"Available versions: (.*)", said)
    if not found:
        raise UsageError(f"pip finds no releases of {package}; look whether its index is reachable")
    return found[1].replace(" ", "").split(",")


@contextmanager
def downloaded(package: str, version: str) -> Iterator[Release]:
    """The release in a temporary folder. Raises UsageError where it cannot be had as a wheel."""
    start = time.monotonic()
    with Scratch() as scratch:
        goal = Path(scratch) / "wheel"
        _pip("download", "--no-deps", "--only-binary", ":all:", "--dest", str(goal), f"{package}=={version}")
        (wheel,) = goal.glob("*.whl")
        folder = Path(scratch) / "release"
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder)
        yield Release(version, folder.resolve(), wheel.stat().st_size, time.monotonic() - start)


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check", "--no-input"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UsageError(f"pip {arguments[0]}: no end after {SECONDS} s; look whether its index is reachable") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["it says nothing"]
        raise UsageError(f"pip {arguments[0]} {arguments[-1]}: {said[-1].removeprefix('ERROR: ')}")
    return done.stdout
