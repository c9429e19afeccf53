"""Options that several commands share, and how a command takes many of them as one object."""

import ast
import sys
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from inspect import Parameter
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any, ClassVar, dataclass_transform, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from vlbench.api.arguments import paths, refuse_unread
from vlbench.cli.completion import files, named, one_of, towers, variants
from vlbench.export.sheet import Sheet

Texts = list[str] | None  # of an option that can be given several times
INTERRUPTED = 130
"""The exit code after Ctrl-C."""
PANELS = {
    "What is looked at": "plan_file ray send shard shards expect scenario model start seam variant tower "
    "head_tower python exactness ablate images scenario_sizes weights grid point only dtype state plan gpu cudnn "
    "baseline capture key region results ranges times range_ iteration before after reader metric compare package "
    "listed discover over requests turns conversations cache budgets most_padding graphs ranks memory_at "
    "kv_bytes break_even history git",
    "How it is measured": "device cpus tries silence seed threads trials budget timeout isolate card counts counters "
    "forwards tool overhead quick earlier trace graph",
    "What passes": "check allow_inconclusive base first no_accept report_only threshold floor confidence "
    "higher_is_better lower_is_better unchecked reason by proposal outputs rules",
    "What is shown and written": "dump markdown github buildkite slurm json out output resume force against diff where "
    "cold blocks limit quiet show perfetto board every wide",
}
"""Options by the box of the help that they stand in."""
RESULTS, CAPTURES = "vlbench.record.files:RESULTS", "vlbench.nsys.read:CAPTURE"
PICTURES, PLANS = "vlbench.workload.photos:PICTURE", "vlbench.record.plan_file:PLAN"
"""Where the `Kind` stands of files that several commands read."""
PANEL = {name: panel for panel, names in PANELS.items() for name in names.split()}
WRITTEN = "What is shown and written"
METAVARS = {"weights": "FOLDER", "base": "REVISION", "reason": "TEXT", "unchecked": "TEXT", "iteration": "REGEX"}
"""What stands for the value of an option, where its type says too little: FILE of a path, NAME of a text."""


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True)
class CommandOptions:
    """The arguments and options of a command, one a field: a frozen dataclass, as each of its subclasses is.

    What stands below a field is its help, or else what stands below the alias that is its type.
    """

    UNREAD: ClassVar[Mapping[str, str]] = {}
    """Options that nothing reads beside others, as `vlbench.api.arguments.UNREAD` has them."""
    READ: ClassVar[Mapping[str, str]] = {}
    """Those that name files to be read, each with where the `Kind` of these stands."""
    WRITES: ClassVar[bool] = False
    """Is `out` a file that is written, and looked at before anything is imported that makes it?"""

    def __init_subclass__(cls) -> None:
        """Makes a dataclass of the subclass."""
        dataclass(frozen=True)(cls)


def parameters_of(options: type[CommandOptions]) -> list[Parameter]:
    """What a function would have in place of the fields, as Typer reads it."""
    hints, told = get_type_hints(options, include_extras=True), dict[str, str]()
    for owner in reversed(options.__mro__[:-1]):
        aliases = _aliases(__name__) | _aliases(owner.__module__)
        tree = _module(owner.__module__)
        (body,) = (each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == owner.__name__)
        told |= {name: aliases[kind] for name, kind in _kinds(body) if kind in aliases} | _below(body)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=_with_help(hints[field.name], told.get(field.name), field.name),
        )
        for field in fields(options)
    ]


def refuse_what_nothing_reads(options: CommandOptions) -> None:
    """Raises UsageError for an option that is given and would be ignored beside the others."""
    settings = {each.name: get_args(each.annotation)[1] for each in parameters_of(type(options))}

    def option(name: str) -> str:
        setting = settings.get(name)
        if isinstance(setting, ArgumentInfo):
            return name.upper()
        texts = (setting.default, *(setting.param_decls or ())) if setting else ()
        return next((each for each in texts if str(each).startswith("--")), f"--{name.replace('_', '-')}")

    refuse_unread(vars(options), {each.name: each.default for each in fields(options)}, options.UNREAD, option)


def check_files(options: CommandOptions) -> None:
    """Raises UsageError for a file that is to be read and is not there, before anything is imported that reads it."""
    from vlbench.untrusted.files import size_of

    for name, kind in options.READ.items():
        for path in paths(getattr(options, name)):
            size_of(path, resolve_name(kind))


@cache
def _module(name: str) -> ast.Module:
    return ast.parse(Path(sys.modules[name].__file__ or "").read_text(encoding="utf-8"))


@cache
def _aliases(name: str) -> dict[str, str]:
    """What stands below the names of a module."""
    return _below(_module(name))


def _below(block: ast.Module | ast.ClassDef) -> dict[str, str]:
    """What stands below the names in a module or a class, in one line each."""
    found = {}
    for statement, below in pairwise(block.body):
        match statement, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


def _kinds(body: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The fields of a class whose type is a name, with that name."""
    for statement in body.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=kind) | ast.Attribute(attr=kind)):
                yield name, kind


def _with_help(hint: Any, text: str | None, name: str) -> Any:
    """A field's type with its help, the box that it stands in and what stands for its value, as Typer takes it."""
    kind, *settings = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    setting = copy(settings[0]) if settings else typer.Option()
    setting.help = text
    if isinstance(setting, OptionInfo):
        setting.rich_help_panel = PANEL.get(name)
        held = {each for part in (kind, *get_args(kind)) for each in (part, *get_args(part))}
        usual = "FILE" if Path in held else "NAME" if str in held else None
        setting.metavar = setting.metavar or METAVARS.get(name, usual)
    return Annotated[kind, setting]


Model = Annotated[str | None, typer.Option(autocompletion=named("models"))]
"""Model size; see `vlbench list models`. [tiny on a CPU, 7B on CUDA]"""
Variants = Annotated[Texts, typer.Option("--variant", "--with", "--preset", autocompletion=variants)]
"""A flag, a preset or a file of one (.toml), several joined by +, a peer such as hf-sdpa, or package.module:factory;
repeatable, each is a row.
[every flag and preset; to time them on CUDA, a few]"""
Variant = Annotated[str, typer.Option(autocompletion=variants)]
"""A flag, a preset, or several joined by +."""
DeviceName = Annotated[str, typer.Option(autocompletion=one_of("auto", "cpu", "cuda"))]
"""cpu, cuda, or auto: CUDA where there is one."""
UsualDtype = Annotated[str | None, typer.Option(autocompletion=named("dtypes"))]
"""float32, bfloat16 or float16. [float32 on a CPU, bfloat16 on CUDA]"""
Seed = Annotated[int, typer.Option(min=0)]
"""Seeds weights, inputs and the order of rounds."""
Threads = Annotated[int, typer.Option(min=1)]
"""CPU threads. One halves the noise of paired rounds."""
Timeout = Annotated[float, typer.Option(min=1)]
"""Seconds after which one trial ends with what it has; a row of which one call takes half of that is given up."""
Force = Annotated[bool, typer.Option("--force")]
"""Files that are written may replace what is there."""
PlanToo = Annotated[bool, typer.Option("--plan")]
"""Rows, too, in which all that follows from the grids is made before and handed in: on the device, and with lengths of
segments on the host."""
Weights = Path | None
"""Folder of a Hugging Face checkpoint; only its vision tensors are read. [random weights]"""
Scenarios = Annotated[Texts, typer.Option(autocompletion=named("scenarios", files(".toml", ".jsonl")))]
"""A shipped scenario or a .toml file, at its full size; repeatable. [single-image]"""
Scenario = Annotated[str | None, typer.Option(autocompletion=named("scenarios", files(".toml", ".jsonl")))]
"""A shipped scenario (`vlbench list scenarios`) or a .toml file, at its full size. [single-image]"""
Towers = Annotated[Texts, typer.Option(autocompletion=towers)]
"""package.module:factory (your code, which is run), qwen2.5-vl-7b, qwen2.5-vl-7b+FLAG or hf:qwen2.5-vl-7b;
repeatable."""
Tower = Annotated[str | None, typer.Option(autocompletion=towers)]
"""Any tower in place of a model with --variant: package.module:factory (your code, which is run), qwen2.5-vl-7b+FLAG
or hf:qwen2.5-vl-7b."""
Classes = Annotated[str | None, typer.Option(autocompletion=named("classes"))]
Grids = Annotated[Texts, typer.Option(metavar="TxHxW")]
"""Or a grid in patches, such as 1x36x36; repeatable."""
With = Annotated[Texts, typer.Option("--with", "--preset", autocompletion=variants)]
"""A variant of our model: flags, presets and preset files joined by +; repeatable. [presets]"""
Gpu = Annotated[str | None, typer.Option("--as", autocompletion=named("gpus"))]
"""The GPU to answer for: sm_75, 80, 86, 89, 90, 100. [sm_90]"""
Cudnn = Annotated[str | None, typer.Option("--cudnn", metavar="VERSION")]
"""The cuDNN to answer for, such as 9.15.1, which decides how torch attends there; never the installed one. [9.19]"""
DtypeName = Annotated[str, typer.Option(autocompletion=named("dtypes"))]
"""float32, bfloat16 or float16."""
AllowInconclusive = Annotated[bool, typer.Option("--allow-inconclusive")]
"""Rows that could not have shown a change pass."""
Reason = str
"""Why these figures are right; kept in the file."""
Unchecked = str | None
"""Why the result of a tower that cannot run on a CPU is not checked: its counters are then never called improved."""
By = str | None
"""Who says so. [git's user.name]"""


class ModelOptions(CommandOptions):
    """Options of a command that looks at one of our models."""

    model: Model = None
    weights: Weights = None
    device: DeviceName = "auto"
    dtype: UsualDtype = None
    seed: Seed = 0
    threads: Threads = 1


def command_line() -> str:
    """What was typed, as results keep it."""
    return " ".join(["vlbench", *sys.argv[1:]])


def or_interrupted(sheet: Sheet, interrupted: bool, out: Path) -> Sheet:
    """The sheet; where a signal ended the run, it says how to go on and ends with 130, as shells do after Ctrl-C."""
    if not interrupted:
        return sheet
    kept = not out.exists() or out.is_file()
    last = f"{out} holds what is done; --resume goes on from there" if kept else f"{out} is no file to go on from"
    return replace(sheet, exit_code=INTERRUPTED, last=f"interrupted: {last}")
