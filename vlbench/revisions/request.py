"""What is compared of two revisions, and in which of two ways."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from vlbench.errors import UsageError
from vlbench.process.interpreter import NO_OTHERS, Interpreter
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.schema import Device, Dtype
from vlbench.revisions.checkouts import Revision, checked_out, repository
from vlbench.towers.from_folder import OURS, TowerInFolder, import_root
from vlbench.towers.installed import packages_of
from vlbench.towers.resolve import is_built_in

BASE, HEAD = "BASE", "HEAD"


class Way(StrEnum):
    """How two revisions share the time they are measured in."""

    ONE_PROCESS = "one process"
    """Both are loaded under names of their own and share every round, beside the frozen reference tower."""
    LOCK_STEP = "lock-step"
    """A process each, both alive; a token says whose turn it is."""


@dataclass(frozen=True)
class Request:
    """What to measure."""

    towers: tuple[str, ...]
    scenarios: tuple[str, ...]
    device: Device
    dtype: Dtype
    counted_dtype: Dtype
    profile: str
    """The GPU that counting answers for."""
    counters: bool
    """Are the towers counted, too?"""
    exactness: str
    """What HEAD of a lock-step pair has to keep to; our own towers claim a class themselves."""
    cudnn: str = ""
    """The cuDNN that counting answers for, in place of the profile's own."""
    seed: int = 0
    threads: int = 1
    trials: int = 5
    budget: float = 240.0
    """Seconds for all of it; half of what counting leaves is set aside for confirming."""
    timeout: float = 900.0
    apart: bool = False
    """Is what HEAD of a lock-step pair is compared with made only when its process has ended?"""


@dataclass(frozen=True)
class Pair:
    """Two revisions, as `Sides`."""

    base: Revision
    head: Revision
    what = "revision"
    pythons: ClassVar[Mapping[str, Interpreter]] = NO_OTHERS

    @property
    def notes(self) -> list[str]:
        """Whether there is anything to find."""
        same = self.base.tree == self.head.tree
        return ["BASE and HEAD are the same files: whatever differs is a false alarm"] if same else []

    @property
    def repository(self) -> Path | None:
        """The one that both are of."""
        return repository()

    def came_from(self, here: Fingerprint) -> Fingerprint:
        """This Python ran both."""
        return here

    def way(self, tower: str) -> Way:
        """How they are measured. Raises UsageError."""
        return way_of(tower)

    def towers(self, tower: str) -> tuple[TowerInFolder, TowerInFolder]:
        """The tower of either. Raises UsageError."""
        return self.at(self.base, tower), self.at(self.head, tower)

    def at(self, revision: Revision, tower: str) -> TowerInFolder:
        """The tower of this revision. Raises UsageError where its package is not there."""
        module = OURS if way_of(tower) is Way.ONE_PROCESS else tower.partition(":")[0]
        home = next((home for home in (revision.here, revision.folder) if import_root(home, module)), None)
        if home is None:
            raise UsageError(
                f"{revision.words} has no package {module.partition('.')[0]!r} here, nor in src or python; name a "
                "factory that both revisions have: --tower package.module:factory"
            )
        return TowerInFolder(home, tower)

    def plain(self, text: str) -> str:
        """`text` with the folders that are soon gone called by their revisions, as git does: `main:tower.py`."""
        for revision in (self.base, self.head):
            for home in (revision.here, revision.folder):
                text = text.replace(f"at:{home}:", f"{revision.name}:").replace(f"{home}/", f"{revision.name}:")
        return text

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Inside, whatever the user has to mend is said in plain words."""
        try:
            yield
        except UsageError as error:
            raise type(error)(self.plain(str(error))) from None


@contextmanager
def between(base: str, head: str, towers: Sequence[str]) -> Iterator[Pair]:
    """Two revisions of the repository in the current folder, as files. Raises UsageError, also for a tower of none."""
    for tower in towers:
        way_of(tower)
    with checked_out((base, head)) as (before, after):
        yield Pair(before, after)


def way_of(tower: str) -> Way:
    """How two revisions of `tower` are measured. Raises UsageError for one that no revision holds."""
    head, colon, _ = tower.partition(":")
    if not colon:
        return Way.ONE_PROCESS
    if head == "at" or is_built_in(head) or packages_of(tower):
        raise UsageError(f"--tower {tower}: its code is the same in every revision; name one of the repository's")
    return Way.LOCK_STEP
