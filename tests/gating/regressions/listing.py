"""The list: what each regression stands for, what is expected of it, and the edits that make it.

What is expected was written before anything was run, and is not corrected afterwards: where it was wrong, `found` says
what is the case instead.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LISTED = Path(__file__).parent / "listed"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Edit(_Part):
    """One place in a file of the package."""

    file: str = Field(description="As seen from the package.")
    old: str = Field(min_length=1)
    new: str

    def apply(self, package: Path) -> None:
        """Replace `old`, which must be there exactly once, by `new`. Raises ValueError."""
        path = package / self.file
        text = path.read_text()
        if (times := text.count(self.old)) != 1:
            raise ValueError(f"{self.file} has {times} times, not once:\n{self.old}")
        path.write_text(text.replace(self.old, self.new))


class Outcome(_Part):
    """What the judges say of a regression."""

    counters: Literal["regressed", "improved", "same"]
    rises: tuple[str, ...] = Field(default=(), description="Counters that rise.")
    first_forward: bool = Field(default=False, description="Do they rise in the first forward alone?")
    line: str = Field(default="", description="Part of the source text that is named.")
    accuracy: Literal["passed", "inaccurate"]


class Expectation(Outcome):
    """What is expected of it."""

    time_on_cpu: Literal["slower", "same"]
    why: str


class Regression(_Part):
    """One regression."""

    number: str
    slug: str
    title: str
    stands_for: str
    advice: tuple[str, ...] = Field(default=(), description="What is advised, each behind the kind of what moved.")
    runs_on_cpu: bool = Field(default=True, description="False: it changes the way of a flag that CUDA alone has.")
    expected: Expectation
    found: Outcome | None = Field(default=None, description="Where it came otherwise.")
    edit: tuple[Edit, ...] = Field(min_length=1)

    @property
    def outcome(self) -> Outcome:
        """What is the case."""
        return self.found or self.expected

    def apply(self, package: Path) -> None:
        """Make the edits in a copy of the package. Raises ValueError where it is not the one they were made for."""
        for edit in self.edit:
            edit.apply(package)


def regressions() -> list[Regression]:
    """All of them, in order; a letter after the number marks a variation."""
    found = []
    for path in sorted(LISTED.glob("*.toml")):
        number, _, slug = path.stem.partition("_")
        content = tomllib.loads(path.read_text())
        found.append(Regression.model_validate(content | {"number": number.lstrip("0"), "slug": slug}))
    return found
