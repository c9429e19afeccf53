"""The tools of `vlbench mcp`: each calls the function of the Python API that has its name.

What a tool takes are options of a command, with the same names, types and help. What it gives back is what JSON can
hold. Nothing heavy is imported before a tool is called.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, getdoc
from typing import Annotated, Any, get_args

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from vlbench.api.arguments import argument_words, in_python
from vlbench.cli.count import CountOptions
from vlbench.cli.judge import DiffOptions, Options as JudgeOptions
from vlbench.cli.options import CommandOptions, Texts, parameters_of
from vlbench.cli.predict import PredictOptions
from vlbench.errors import UsageError
from vlbench.untrusted.files import first_fault

Found = dict[str, Any]
"""A result: `title`, `exit_code` as the command of the same name ends, and what was found."""
Say = Callable[[str], None]
"""Is told what goes on."""
TOWERS = "tower variant scenario grid cudnn dtype"
"""Names of options that say what is counted, and on what."""


class ExplainOptions(CommandOptions):
    """The argument of `vlbench explain`."""

    name: Annotated[str, typer.Argument()]
    """A flag, preset, seam, model, scenario, peer or format, a counter, or another word that results use."""


@dataclass(frozen=True)
class Tool:
    """A tool: what it is called, what it takes, and what it does."""

    name: str
    description: str
    takes: type[BaseModel]
    work: Callable[..., Found]

    def told(self) -> dict[str, Any]:
        """Its name, its description and the JSON Schema of its arguments, as the protocol has them."""
        return {"name": self.name, "description": self.description, "inputSchema": self.takes.model_json_schema()}

    def checked(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments, of the types that it takes. Raises UsageError."""
        try:
            return self.takes.model_validate(given).model_dump(exclude_unset=True)
        except ValidationError as error:
            known = ", ".join(self.takes.model_fields)
            raise UsageError(f"{self.name}: {first_fault(error)}; its arguments are {known}") from None


TOOLS: dict[str, Tool] = {}
"""All of them, by name."""


def tool(
    options: type[CommandOptions], names: str, *required: str
) -> Callable[[Callable[..., Found]], Callable[..., Found]]:
    """A function as a tool that takes those of the options that are named."""

    def decorate(work: Callable[..., Found]) -> Callable[..., Found]:
        known = {each.name: each for each in parameters_of(options)}
        fields: Any = {name: _field(known[name], name in required) for name in names.split()}
        config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
        takes = create_model(work.__name__, __config__=config, **fields)
        TOOLS[work.__name__] = Tool(work.__name__, getdoc(work) or "", takes, work)
        return work

    return decorate


def _field(option: Parameter, required: bool) -> tuple[Any, Any]:
    kind, setting = get_args(option.annotation)
    several = str | list[str]
    kind = (several if required else several | None) if kind == Texts else kind
    must = required or option.default is Parameter.empty
    return kind, Field(... if must else option.default, description=argument_words(setting.help or ""))


def _with_rows(found: Any) -> Found:
    return {"title": found.title, "exit_code": int(found.exit_code), "rows": found._rows()}


def _with_verdicts(found: Any) -> Found:
    from vlbench.export.formats.json import document_of

    return {"title": found.title, **document_of(found.record)}


@tool(CountOptions, f"{TOWERS} gpu plan")
def count(say: Say, **given: Any) -> Found:
    """Count what vision towers ask of a GPU in one forward: launches, syncs, copies, attention calls. Needs no GPU.

    Each tower has a row for its second forward ("warm") and its first ("cold"). A row that could not be counted has a
    reason in `failed`. Towers are built and run: name only code that you trust.
    """
    from vlbench.api.counts import count

    return _with_rows(in_python(count)(**given, progress=say))


@tool(CountOptions, f"{TOWERS} gpu plan cold")
def where(say: Say, cold: bool = False, **given: Any) -> Found:
    """Name the lines of code at which vision towers wait for a GPU or copy to it, with what removes each.

    A line has how many `times` it does so in the second forward (the first with `cold`), whether that is `blocking`
    the host, its callers, flags of vlbench that remove it and advice. Needs no GPU. Towers are built and run: name only
    code that you trust.
    """
    from vlbench.api.counts import count
    from vlbench.export.counted import chosen

    found = in_python(count)(**given, progress=say)
    rows = [(group, row) for group in found.record.groups for row in group.towers]
    lines = [
        {"scenario": group.scenario, "point": group.point, "tower": row.name} | site.model_dump(mode="json")
        for group, row in rows
        if (forward := chosen(row, cold))
        for site in forward.sites
    ]
    failed = {row.name: row.failed for _, row in rows if row.failed}
    return {"title": found.title, "exit_code": int(found.exit_code), "failed": failed, "lines": lines}


@tool(DiffOptions, "before after allow_inconclusive")
def diff(say: Say, **given: Any) -> Found:
    """Judge what two files hold: results of `vlbench run`, baselines, counts of `vlbench count --json`, captures.

    Each row has a verdict and its reason; `exit_code` is 0 where all is the same or better, 3 regressed, 4
    inconclusive, 5 inaccurate, 6 missing or not comparable.
    """
    from vlbench.api.verdicts import compare

    return _with_verdicts(in_python(compare)(**given))


@tool(ExplainOptions, "name")
def explain(say: Say, name: str) -> Found:
    """Explain a word of vlbench: a flag with its code beside the naive way's, a counter, a preset or a verdict."""
    from vlbench.cli.explain import explained

    return {"title": name, "exit_code": 0, **explained(name)}


@tool(
    JudgeOptions,
    "before after reader metric higher_is_better lower_is_better threshold floor confidence allow_inconclusive",
    "before",
    "after",
)
def judge(say: Say, **given: Any) -> Found:
    """Judge benchmark results of other tools before and after a change, three runs or more a side.

    Each metric has a row with a verdict and its reason; `exit_code` is 0 where all is the same or better, 3 regressed,
    4 inconclusive, 5 inaccurate, 6 missing or not comparable.
    """
    from vlbench.api.verdicts import judge

    return _with_verdicts(in_python(judge)(**given))


@tool(PredictOptions, f"{TOWERS} gpu cold")
def predict(say: Say, **given: Any) -> Found:
    """Predict what vision towers take on GPUs that are not here, as bands of seconds. Nothing is measured.

    A row's `ratio` is the first row's time over its own. A row that has no predicted time has a reason in `failed`.
    Towers are built and run: name only code that you trust.
    """
    from vlbench.api.predicting import predict

    return _with_rows(in_python(predict)(**given, progress=say))
