"""`vlbench simulate`: an encoder's cache and its graphs under requests of a production mix."""

from typing import Annotated

import typer

from vlbench.api.arguments import UNREAD
from vlbench.cli.completion import files, named
from vlbench.cli.options import CommandOptions, Seed
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet


class SimulateOptions(CommandOptions):
    """The options of `vlbench simulate`."""

    UNREAD = UNREAD["simulate"]

    scenario: Annotated[str, typer.Option(autocompletion=named("scenarios", files(".toml", ".jsonl")))] = "serving-mix"
    """What draws requests: serving-mix, serving-one-tenant, or a .toml file with a [mix]; or recorded calls, .jsonl."""
    model: Annotated[str, typer.Option(autocompletion=named("models"))] = "qwen2.5-vl-7b"
    """Model size; see `vlbench list models`."""
    requests: Annotated[int | None, typer.Option(min=1)] = None
    """How many requests come. [1000; of recorded calls all]"""
    turns: Annotated[float, typer.Option(min=1)] = 1.0
    """How often a conversation sends its images, on average. No trace says it; at 1 no image comes twice."""
    conversations: Annotated[int, typer.Option(min=1)] = 64
    """Conversations that go on at a time, and alternate."""
    cache: Annotated[str, typer.Option(metavar="SIZE")] = "1GiB"
    """Room for embeddings of images, by what they are: 4GiB, 500MB."""
    budgets: Annotated[str | None, typer.Option(metavar="TOKENS,...")] = None
    """Sizes of graphs in tokens. [64,128,256,...,8192]"""
    most_padding: Annotated[float, typer.Option(min=0, max=1)] = 1.0
    """Padding over all patches of a graph, at most; what needs more runs without one."""
    graphs: Annotated[int, typer.Option(min=1)] = 64
    """Graphs for exact layouts that are kept, least recently used out first."""
    ranks: Annotated[int | None, typer.Option(min=1, max=1024)] = None
    """Tell how images, or the tower itself, would be shared out over so many GPUs, and what these pass on."""
    memory_at: Annotated[int | None, typer.Option(metavar="TOKENS", min=1)] = None
    """Count a forward of so many tokens, and tell all memory of the encoder in tokens of the KV cache."""
    kv_bytes: Annotated[int | None, typer.Option(metavar="BYTES", min=1)] = None
    """Of one token in the KV cache. [that of the model in bfloat16]"""
    break_even: bool = False
    """Time capturing and replaying a graph here, and tell after how many replays the first has paid. Takes seconds."""
    seed: Seed = 0


@reports(judges=False)
def simulate(options: SimulateOptions) -> Sheet:
    """Simulate a cache of embeddings and graphs over requests of a production mix: nothing is run unless asked.

    Tells how many images the cache finds, how many forwards and how much padding packing into graphs of a few sizes
    takes, and how often a graph of the exact layout is there.

    - `vlbench simulate --turns 3 --cache 4GiB`
    - `vlbench simulate --scenario serving-one-tenant --memory-at 16384`
    - `vlbench simulate --ranks 4`
    """
    from vlbench.api.simulating import simulate

    given = dict(vars(options))
    found = simulate(given.pop("scenario"), **given | {"budgets": _numbers(options.budgets)})
    return Sheet("vlbench simulate", found.parts)


def _numbers(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(each) for each in text.split(",")]
    except ValueError:
        raise UsageError(f"--budgets {text!r:.60}: write tokens with commas, such as 64,256,1024") from None
