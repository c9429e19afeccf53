"""Two Python environments as the sides of a comparison: this vlbench's code in both, with the packages of each.

Before anything is measured each interpreter is asked what it has. Who does not answer as a Python that can run vlbench
is refused in a sentence.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vlbench.errors import UsageError
from vlbench.process.child import exit_reason, portable_environment
from vlbench.process.interpreter import Interpreter, other_code, our_code
from vlbench.process.program import ending_with_us
from vlbench.process.scratch import Scratch
from vlbench.record import fingerprint
from vlbench.record.fingerprint import Fingerprint
from vlbench.revisions.request import BASE, HEAD, Way
from vlbench.untrusted.files import Kind, first_fault, parse_json
from vlbench.untrusted.limits import Limit
from vlbench.version import FOLDER

ANSWER = Path("revisions", "answer.py")
WORKERS = ("vlbench.revisions.worker", "vlbench.counting.worker")
"""What an environment has to be able to import: the processes that time and count."""
PATIENCE = 120.0
"""Seconds in which an interpreter has to answer; to import torch from a slow disk takes most of a minute."""
MOST_BYTES = 1 << 20
"""That an answer may have."""
LOOK = 0.02
"""Seconds between two looks at one that is asked."""
TOLD = ("torch", "transformers", "vllm", "sglang")
LIBRARIES = tuple(dict.fromkeys((*TOLD, *fingerprint.LIBRARIES, "flash-attn", "pillow")))
"""Libraries whose versions are told where they differ; the first of them always."""
NAMES = ("Python", *LIBRARIES)
_VERSION = re.compile(r"\d+\.\d+\.\d+")
NEEDED = {each: each for each in ("torch", "numpy", "pydantic", "einops", "nvtx", "safetensors")} | {
    "pynvml": "nvidia-ml-py"
}
"""Modules of others that WORKERS import, and what to install for each; vlbench itself need not be there."""

ANSWERED = Kind("name an interpreter itself, or mend what starts it", ours=True)
"""The second line of an answer."""


class Answer(BaseModel):
    """What an interpreter that is new enough says of itself, as `answer.py` writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    code: Annotated[str, Field(max_length=Limit.LINE.most)] | None
    """The file that `import vlbench` runs there, without links; None where it finds none."""
    lacks: list[str]
    """The modules of NEEDED that are not there."""
    failed: Annotated[str, Field(max_length=Limit.LINE.most)] | None = None
    """Why a module of WORKERS cannot be imported."""
    gpu: bool | None = None
    """Does its torch see one? None where torch was not imported."""
    versions: dict[str, Annotated[str, Field(pattern=r"^[\w.+!-]{1,100}$")]]
    """Of those of LIBRARIES that are there."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if unknown := {*self.lacks} - NEEDED.keys() | {*self.versions} - {*LIBRARIES}:
            raise ValueError(f"nobody asked for {min(unknown)[:100]!r}")
        if not self.lacks and not self.failed and (self.gpu is None or "torch" not in self.versions):
            raise ValueError("it does not say which torch it has, and whether that sees a GPU")
        return self


@dataclass(frozen=True)
class Environment:
    """One side: an interpreter, and what it has."""

    name: str
    """As it was given."""
    interpreter: Interpreter
    versions: dict[str, str]
    """Of Python, and of each of LIBRARIES that is there."""
    gpu: bool
    """Does its torch see one?"""
    tower: str | None = None
    """What is measured in it, where that is not what both are asked for."""

    @property
    def words(self) -> str:
        """What a report calls it: `/other/bin/python (Python 3.12.1, torch 2.12.0, transformers 5.19.0)`."""
        told = ", ".join(f"{name} {self.versions[name]}" for name in ("Python", *TOLD) if name in self.versions)
        return f"{self.name} ({told})" + (f", {self.tower}" if self.tower else "")


@dataclass(frozen=True)
class TowerInEnvironment:
    """A tower as `resolve_tower` reads it, and who is to make it."""

    tower: str
    python: Interpreter
    folder: ClassVar[None] = None

    def __str__(self) -> str:
        return self.tower


@dataclass(frozen=True)
class EnvironmentPair:
    """Two environments, as `Sides`."""

    base: Environment
    head: Environment
    what = "environment"
    repository: ClassVar[None] = None

    @property
    def pythons(self) -> dict[str, Interpreter]:
        """By the names of the sides."""
        return {BASE: self.base.interpreter, HEAD: self.head.interpreter}

    @property
    def notes(self) -> list[str]:
        """What differs between the two."""
        old, new = ({name: each.versions.get(name, "none") for name in NAMES} for each in (self.base, self.head))
        differs = [f"{name} {old[name]} -> {new[name]}" for name in NAMES if old[name] != new[name]]
        same = ", ".join(name for name in NAMES if old[name] == new[name] != "none")
        told = f"the environments differ in {', '.join(differs)}" if differs else "no version differs"
        return [f"{told}; both have the same {same}" if same else told]

    def came_from(self, here: Fingerprint) -> Fingerprint:
        """Where samples come from: this machine, and what BASE's side answered where that is not this Python.

        Of its torch no more than the version is asked. What HEAD has stands in the name of its row.
        """
        if self.base.interpreter.path == Path(sys.executable):
            return here
        has = self.base.versions
        libraries = {name: has[name] for name in fingerprint.LIBRARIES if name in has}
        own = {"python": has["Python"], "torch": has["torch"], "libraries": libraries}
        return here.model_copy(update=own | dict.fromkeys(("torch_threads", "cuda", "cudnn", "attention", "fp32")))

    def way(self, tower: str) -> Way:
        """How they are measured, whatever the tower."""
        return Way.LOCK_STEP

    def towers(self, tower: str) -> tuple[TowerInEnvironment, TowerInEnvironment]:
        """The tower of either."""
        base, head = (TowerInEnvironment(each.tower or tower, each.interpreter) for each in (self.base, self.head))
        return base, head

    def plain(self, text: str) -> str:
        """`text` as it is: a tower is called here as it was named."""
        return text

    def naming(self) -> nullcontext[None]:
        """Errors stay as they are."""
        return nullcontext()


@contextmanager
def asked(names: Sequence[str], head_tower: str | None, seconds: float, device: str) -> Iterator[EnvironmentPair]:
    """The environments of two interpreters, BASE's and HEAD's, each given as a file or a program's name.

    Each has `seconds` to answer, at most PATIENCE. Raises UsageError for what is no Python that can run vlbench, and
    for one whose torch sees no GPU where the `device` is one.
    """
    base, head = names
    found = {name: _found(name) for name in names}
    with our_code() as code:
        asking = {name: Interpreter(path, code) for name, path in found.items()}
        known = {name: _environment(name, each, min(seconds, PATIENCE)) for name, each in asking.items()}
        for each in known.values() if device == "cuda" else ():
            if not each.gpu:
                told = f"--python {each.name}: its torch {each.versions['torch']} sees no GPU"
                raise UsageError(f"{told}; install one for CUDA there, or compare with --device cpu")
        yield EnvironmentPair(known[base], replace(known[head], tower=head_tower))


def _found(name: str) -> Path:
    """The program, not what its links lead to: an environment is known by where its link lies."""
    if program := shutil.which(name):
        return Path(os.path.abspath(program))
    path = Path(name)
    if os.path.isdir(path):  # unlike Path's own it takes a name of any length
        among = path / "bin/python", path / "python"
        inside = next(filter(os.path.exists, among), among[0])
        raise UsageError(f"--python {name}: it is a folder; name the interpreter in it, such as {inside}")
    if os.path.exists(path):
        raise UsageError(f"--python {name}: it is no program, which has to be executable; name an interpreter")
    raise UsageError(f"--python {name}: there is no such file and no program of that name; name an interpreter")


def _environment(name: str, interpreter: Interpreter, seconds: float) -> Environment:
    """What an interpreter has. Raises UsageError."""
    mark = f"vlbench {secrets.token_hex(8)}: "
    said, end, well = _said(name, interpreter, mark, seconds)
    version, told = [*(line.removeprefix(mark) for line in said.splitlines() if line.startswith(mark)), "", ""][:2]
    if not _VERSION.fullmatch(version):
        raise UsageError(f"--python {name}: it does not answer as a Python does ({end}); name an interpreter")
    if tuple(map(int, version.split(".")[:2])) < (3, 11):
        raise UsageError(f"--python {name}: it is Python {version}, and vlbench needs 3.11; make its environment anew")
    if not told:
        raise UsageError(f"--python {name}: it ended while it imported what vlbench needs: {end}; mend it")
    if not well:
        raise UsageError(f"--python {name}: it answered, and then {end}; mend it")
    try:
        found = Answer.model_validate(parse_json(told, f"--python {name}: its answer", ANSWERED))
    except ValidationError as error:
        told = f"its answer is not what vlbench asks for ({first_fault(error)})"
        raise UsageError(f"--python {name}: {told}; {ANSWERED.remedy}") from None
    if found.lacks:
        needed = " ".join(NEEDED[each] for each in found.lacks)
        raise UsageError(f"--python {name}: it lacks what vlbench needs there; `{name} -m pip install {needed}`")
    if wrong := other_code(found.code):
        raise UsageError(f"--python {name}: both sides have to run the same vlbench, and {wrong}")
    if found.failed:
        told = f"vlbench cannot be imported there: {found.failed}"
        raise UsageError(f"--python {name}: {told}; install versions that it takes")
    return Environment(name, interpreter, {"Python": version, **found.versions}, bool(found.gpu))


def _said(name: str, interpreter: Interpreter, mark: str, seconds: float) -> tuple[str, str, bool]:
    """What a program answers within so many seconds, how it ended, and whether that was well.

    Raises UsageError where it does not end, or says more than anyone was asked.
    """
    question = [str(interpreter.code / FOLDER.name / ANSWER), mark, ",".join(LIBRARIES), ",".join(NEEDED), *WORKERS]
    with Scratch() as folder:
        out, complaints = (Path(folder) / each for each in ("out", "complaints"))
        try:
            with (
                out.open("wb") as said,
                complaints.open("wb") as complained,
                ending_with_us(
                    [str(interpreter.path), *question],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=complained,
                    env=interpreter.within(portable_environment()),
                ) as process,
            ):
                until = time.monotonic() + seconds
                while (code := process.poll()) is None:
                    if time.monotonic() > until:
                        raise UsageError(f"--python {name}: no answer within {seconds:.0f} s; look what it waits for")
                    _bounded(name, out, complaints)
                    time.sleep(LOOK)
        except OSError as error:
            raise UsageError(f"--python {name}: cannot be started ({error.strerror}); name a Python") from None
        _bounded(name, out, complaints)
        end = exit_reason(code, complaints.read_text(errors="replace"))
        return out.read_text(errors="replace"), end, code == 0


def _bounded(name: str, *written: Path) -> None:
    if sum(each.stat().st_size for each in written) > MOST_BYTES:
        raise UsageError(f"--python {name}: it does not answer as a Python does; name an interpreter")
