"""What is compared: two revisions, or two environments. Either answers what it is asked here."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from vlbench.process.interpreter import Interpreter
from vlbench.record.fingerprint import Fingerprint
from vlbench.revisions.request import Way


class Named(Protocol):
    """One of the two."""

    @property
    def words(self) -> str:
        """What a report calls it."""


class PlacedTower(Protocol):
    """The tower of one of the two. Its `str` is what `resolve_tower` reads."""

    @property
    def folder(self) -> Path | None:
        """Where a process that makes it starts; None: anywhere."""

    @property
    def python(self) -> Interpreter | None:
        """Who is to make it; None: this Python."""


class Sides(Protocol):
    """Both of them."""

    @property
    def base(self) -> Named:
        """The one that is judged by."""

    @property
    def head(self) -> Named:
        """The one that is judged."""

    @property
    def what(self) -> str:
        """What each is: a "revision", say."""

    @property
    def pythons(self) -> Mapping[str, Interpreter]:
        """By the names of sides: who runs it, where that is not this Python."""

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of the two."""

    @property
    def repository(self) -> Path | None:
        """Which neither may import from."""

    def came_from(self, here: Fingerprint) -> Fingerprint:
        """Where samples come from, on this machine."""

    def way(self, tower: str) -> Way:
        """How they are measured. Raises UsageError."""

    def towers(self, tower: str) -> tuple[PlacedTower, PlacedTower]:
        """The tower of either. Raises UsageError."""

    def plain(self, text: str) -> str:
        """`text` without the names of folders that are soon gone."""

    def naming(self) -> AbstractContextManager[None]:
        """Inside, whatever the user has to mend is said in plain words."""
