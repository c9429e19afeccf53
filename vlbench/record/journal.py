"""The journal: an append-only file with every finished trial, so that whatever ends a run costs the trial in flight.

One JSON object a line. The first says which plan it belongs to; each other holds a trial, one that was lost, or a
variant that ended its process. Each ends with a digest of itself and of the digest before it, so that a line that was
edited, copied, left out or brought from another journal does not fit where it stands.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlbench.errors import UsageError, not_written
from vlbench.record.base import Count, Record, record_of
from vlbench.record.schema import Trial
from vlbench.record.whole import replace_text
from vlbench.untrusted.files import Kind, json_lines, parse_json, read_text

FORMAT = 2
CHAIN = "chain"
SHORT = 120
"""Characters of two values that are shown beside each other."""
JOURNAL = Kind(
    "leave --resume out to start anew",
    absent="--resume: there is no interrupted run ({path} does not exist); leave it out",
    binary="--resume: {path} is not a journal; {remedy}",
    ours=True,
)


class _Entry(Record):
    """One line after the first."""

    group: Count
    trial: Trial | None = None
    number: Count | None = None
    lost: str | None = None
    variant: str | None = None
    died: str | None = None


class Journal:
    """The finished trials of a run, by the index of their plan."""

    def __init__(self, path: Path | None, plan: str, *, resume: bool = False) -> None:
        """`plan` says what is measured, a line each as `NAME: VALUE`; a journal of another plan is refused.

        Without a path nothing is written.
        """
        self.path = path
        self._trials: list[tuple[int, Trial]] = []
        self._lost: list[tuple[int, int, str]] = []
        self.died: list[tuple[int, str, str]] = []
        self._chain = ""
        """The digest of the last line."""
        self._header: dict[str, Any] | None = None
        """Written before the first entry: a run that is refused leaves no file."""
        if path is not None and resume:
            self._read(path, plan)
        elif path is not None:
            self._header = {"journal": FORMAT, "plan": plan, "id": secrets.token_hex(8)}

    def has(self, group: int, number: int) -> bool:
        return self.find(group, number) is not None

    def find(self, group: int, number: int) -> Trial | None:
        """The group's trial of this number, None where there is none."""
        return next((trial for index, trial in self._trials if index == group and trial.number == number), None)

    def trials(self, group: int) -> list[Trial]:
        return [trial for index, trial in self._trials if index == group]

    def lost(self, group: int) -> list[str]:
        """Why trials of this group that were not made good later were lost."""
        return [reason for index, number, reason in self._lost if index == group and not self.has(group, number)]

    def add_trial(self, group: int, trial: Trial) -> None:
        """Keep a finished trial of the plan's group."""
        self._trials.append((group, trial))
        self._write({"group": group, "trial": trial.model_dump(mode="json")})

    def add_lost(self, group: int, number: int, reason: str) -> None:
        """Keep that a trial gave nothing, and why."""
        self._lost.append((group, number, reason))
        self._write({"group": group, "number": number, "lost": reason})

    def add_died(self, group: int, variant: str, reason: str) -> None:
        """Keep that a variant ended its process, and how."""
        self.died.append((group, variant, reason))
        self._write({"group": group, "variant": variant, "died": reason})

    def remove(self) -> None:
        """The run is complete and its results are written."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def begin(self) -> None:
        """Be there to go on from, though there is nothing in it yet."""
        if self._header is not None:
            self._write()

    def _write(self, *lines: dict[str, Any]) -> None:
        if self.path is None:
            return
        with _told(self.path):
            if self._header is not None:
                if self.path.exists():
                    self.path.replace(self.path.with_name(f"{self.path.name}.old"))
                lines, self._header = (self._header, *lines), None
            with self.path.open("a") as file:
                for each in lines:
                    self._chain = _link(self._chain, each)
                    file.write(json.dumps(each | {CHAIN: self._chain}) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def _read(self, path: Path, plan: str) -> None:
        try:
            text = read_text(path, JOURNAL)
            first, *lines = json_lines(text)
        except ValueError:  # it is empty
            raise UsageError(JOURNAL.say(JOURNAL.binary, path)) from None
        header = _parse(first)
        if not header or header.get("journal") != FORMAT or header.get("plan") != plan:
            other = _changed(str((header or {}).get("plan")), plan)
            raise UsageError(
                f"--resume: {path} belongs to another run{other}; repeat its options or leave --resume out"
            )
        self._follow(path, 1, header)
        for number, line in enumerate(lines, start=2):
            entry = _parse(line)
            if entry is None and number == len(lines) + 1 and not text.endswith("\n"):
                lines.pop()  # cut off by what ended the run
                break
            try:
                found = record_of(_Entry, {name: value for name, value in (entry or {}).items() if name != CHAIN})
                self._take(found)
            except (ValueError, ValidationError):
                raise UsageError(
                    f"--resume: {path}, line {number} is damaged; leave --resume out to start anew"
                ) from None
            self._follow(path, number, entry or {})
        with _told(path):
            replace_text(path, "\n".join([first, *lines]) + "\n")

    def _follow(self, path: Path, number: int, entry: dict[str, Any]) -> None:
        """Go on from a line. Raises UsageError where it does not belong behind the one before."""
        own = {name: value for name, value in entry.items() if name != CHAIN}
        self._chain = _link(self._chain, own)
        if entry.get(CHAIN) != self._chain:
            raise UsageError(
                f"--resume: {path}, line {number} does not belong there: it or one before it was edited, copied, left "
                "out or brought from another run; leave --resume out to start anew"
            )

    def _take(self, entry: _Entry) -> None:
        match entry:
            case _Entry(trial=Trial() as trial, number=None, lost=None, variant=None, died=None):
                self._trials.append((entry.group, trial))
            case _Entry(trial=None, number=int(number), lost=str(reason), variant=None, died=None):
                self._lost.append((entry.group, number, reason))
            case _Entry(trial=None, number=None, lost=None, variant=str(variant), died=str(reason)):
                self.died.append((entry.group, variant, reason))
            case _:
                raise ValueError("holds nothing, or too much")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raises UsageError where it cannot be written, such as to a disk that is full by now."""
    try:
        yield
    except OSError as error:
        raise not_written(path, error, ", and --resume goes on with what it holds") from None


def _link(before: str, line: dict[str, Any]) -> str:
    """What a line ends with: a digest of its content and of what the line before it ends with."""
    return sha256((before + json.dumps(line, sort_keys=True)).encode()).hexdigest()


def _changed(before: str, now: str) -> str:
    """Which line of a plan is another one now, in words."""
    pairs = zip(before.split("\n"), now.split("\n"), strict=False)
    for (name, _, old), (other, _, new) in ((a.partition(": "), b.partition(": ")) for a, b in pairs):
        if name == other and old != new:
            return f": its {name} was {f'{old}, not {new}' if len(old + new) < SHORT else 'another'}"
    return ""


def is_journal(path: Path) -> bool:
    """Does a file begin as a journal of ours does, or hold nothing yet?"""
    try:
        lines = json_lines(read_text(path, JOURNAL))
    except UsageError:
        return False
    return not lines or "journal" in (_parse(lines[0]) or {})


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = parse_json(line, "a line", JOURNAL)
    except UsageError:
        return None
    return entry if isinstance(entry, dict) else None
