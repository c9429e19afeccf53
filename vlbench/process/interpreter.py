"""Another Python, in which this very vlbench runs with the packages of that one's environment."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from vlbench.process.scratch import Scratch
from vlbench.version import FOLDER

FOLDERS = "PYTHONPATH"
NOT_ITS_OWN = ("PYTHONHOME", "__PYVENV_LAUNCHER__")
"""Variables that tell a Python to be another one."""


@dataclass(frozen=True)
class Interpreter:
    """A Python, and where it finds vlbench."""

    path: Path
    code: Path
    """A folder that has this vlbench, and nothing else that is installed here."""

    def within(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables for a process of it: this vlbench comes before one that is installed there."""
        kept = {name: value for name, value in environment.items() if name not in NOT_ITS_OWN}
        return kept | {FOLDERS: os.pathsep.join(filter(None, (str(self.code), kept.get(FOLDERS))))}


NO_OTHERS: Mapping[str, Interpreter] = MappingProxyType({})
"""By the names of sides: each is run by this Python."""


def other_code(code: str | None) -> str:
    """What is wrong with a Python in which `import vlbench` runs the file `code`; "" where that is this vlbench."""
    ours = FOLDER.resolve()
    if code == str(ours / "__init__.py"):
        return ""
    told = f"it imports vlbench from {code or 'nowhere'}, not from {ours}"
    return f"{told}; name an interpreter that keeps {FOLDERS} as it is given"


@contextmanager
def our_code() -> Iterator[Path]:
    """A folder, gone afterwards, that has this vlbench and nothing else."""
    with Scratch() as folder:
        (Path(folder) / FOLDER.name).symlink_to(FOLDER.resolve(), target_is_directory=True)
        yield Path(folder)
