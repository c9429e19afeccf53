"""Options that several commands share, and how a command takes many of them as one object."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache, wraps
from inspect import Parameter, Signature
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from vlbench.export.sheet import Sheet

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Texts = list[str] | None
"""Of an option that can be given several times."""
T = TypeVar("T", bound="DataclassInstance")
R = TypeVar("R")

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


def takes(options: type[T]) -> Callable[[Callable[[T], R]], Callable[..., R]]:
    """Make a command of a function of `options`: it gets an option for each of their fields, as Typer reads them.

    What stands below a field is its help.
    """
    hints = get_type_hints(options, include_extras=True)
    told = {name: text for owner in options.__mro__ if is_dataclass(owner) for name, text in _docstrings(owner).items()}
    hints |= {name: _with_help(hints[name], text) for name, text in told.items()}
    parameters = [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)
    ]

    def command(function: Callable[[T], R]) -> Callable[..., R]:
        @wraps(function)
        def call(**given: Any) -> R:
            return function(options(**given))

        call.__annotations__ = hints
        call.__dict__["__signature__"] = Signature(parameters)
        return call

    return command


def _docstrings(options: type) -> dict[str, str]:
    """What stands below the fields of a class, in one line each."""
    body = _classes(sys.modules[options.__module__].__file__ or "")[options.__name__].body
    found = {}
    for field, below in pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


@cache
def _classes(file: str) -> dict[str, ast.ClassDef]:
    return {each.name: each for each in ast.parse(Path(file).read_text()).body if isinstance(each, ast.ClassDef)}


def _with_help(hint: Any, text: str) -> Any:
    """A field's type with its help, as Typer takes it."""
    kind, *settings = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    (setting,) = settings or [typer.Option()]
    setting.help = text
    return Annotated[kind, setting]


def complete_scenarios(incomplete: str) -> list[str]:
    """Shipped scenarios, for the shell's completion."""
    from vlbench.workload.library import scenario_names

    return [name for name in scenario_names() if name.startswith(incomplete)]


def complete_models(incomplete: str) -> list[str]:
    """Models, for the shell's completion."""
    from vlbench.implementations.config import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


def complete_formats(incomplete: str) -> list[str]:
    """Formats of result files, for the shell's completion."""
    from vlbench.readers import READERS

    return [name for name in READERS if name.startswith(incomplete)]


def _variants(incomplete: str) -> list[str]:
    from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS
    from vlbench.implementations.peers import PEERS

    done, plus, last = incomplete.rpartition("+")
    alone = () if plus else PEERS
    return [f"{done}{plus}{name}" for name in (*PRESETS, *OPTIMIZATIONS, *alone) if name.startswith(last)]


Model = Annotated[
    str | None,
    typer.Option(
        autocompletion=complete_models, help="Model size; see `vlbench list models`. [tiny on a CPU, 7B on CUDA]"
    ),
]
Variants = Annotated[
    Texts,
    typer.Option(
        "--variant", "--with", "--preset", autocompletion=_variants,
        help="A flag, a preset, several joined by +, a peer such as hf-sdpa, or package.module:factory; repeatable, "
        "each is a row. [every flag and preset]",
    ),
]  # fmt: skip
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, or auto: CUDA where there is one.")]
DtypeOption = Annotated[
    str | None, typer.Option("--dtype", help="float32, bfloat16 or float16. [float32 on a CPU, bfloat16 on CUDA]")
]
Seed = Annotated[int, typer.Option(min=0, help="Seeds weights, inputs and the order of rounds.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads. One halves the noise of paired rounds.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds after which one trial is ended.")]
Weights = Annotated[
    Path | None,
    typer.Option(help="Folder of a Hugging Face checkpoint; only its vision tensors are read. [random weights]"),
]
Grids = Annotated[
    Texts, typer.Option("--grid", metavar="TxHxW", help="Or a grid in patches, such as 1x36x36; repeatable.")
]
With = Annotated[
    Texts, typer.Option("--with", help="A variant of our model: flags and presets joined by +; repeatable. [presets]")
]
Gpu = Annotated[str | None, typer.Option("--as", help="The GPU to answer for: sm_75, 80, 86, 89, 90, 100. [sm_90]")]
DtypeName = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")]


@dataclass(frozen=True)
class ModelOptions:
    """Options of a command that looks at one of our models."""

    model: Model = None
    weights: Weights = None
    device: DeviceOption = "auto"
    dtype: DtypeOption = None
    seed: Seed = 0
    threads: Threads = 1


def command_line() -> str:
    """What was typed, as results keep it."""
    return " ".join(["vlbench", *sys.argv[1:]])


def or_interrupted(sheet: Sheet, complete: bool, out: Path) -> Sheet:
    """The sheet; where not all is complete, it says how to go on and ends with 130, as shells do after Ctrl-C."""
    if complete:
        return sheet
    return replace(
        sheet, exit_code=INTERRUPTED, last=f"interrupted: {out} holds what is done; --resume goes on from there"
    )
