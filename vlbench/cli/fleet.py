"""`vlbench fleet`: a plan on the machines of a Ray cluster."""

from pathlib import Path
from typing import Annotated, ClassVar

import typer

from vlbench.cli import options as shared
from vlbench.cli.completion import files, one_of
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, Words


class FleetOptions(shared.CommandOptions):
    """The arguments and options of `vlbench fleet`; those of `vlbench.fleet` have the same names."""

    READ: ClassVar = {"plan": shared.PLANS}

    plan: Annotated[Path, typer.Argument(metavar="PLAN", autocompletion=files(".jsonl"))]
    """A file that `vlbench plan` wrote."""
    ray: Annotated[str, typer.Option(metavar="ADDRESS", autocompletion=one_of("auto", "local"))]
    """Of the cluster's head, such as 10.0.0.1:6379; auto on one of its nodes; local starts a Ray on this machine."""
    shards: Annotated[int | None, typer.Option(min=1)] = None
    """In how many parts. [one for each group]"""
    cpus: Annotated[int | None, typer.Option(min=1)] = None
    """CPUs of a node that a part claims; all of them, and no other part disturbs its times. [--threads of the plan]"""
    tries: Annotated[int, typer.Option(min=1)] = 3
    """How often a part is tried that is lost: its worker or its node ended, or it is not complete."""
    silence: float = 120
    """Seconds without a sign of life after which a part is tried once more; it counts if it comes all the same."""
    timeout: shared.Timeout = 900
    card: bool = True
    """Measure each machine itself, too, at both ends of each part."""
    send: Annotated[bool, typer.Option("--send")] = False
    """Ray gives each node a copy of the current folder. [the folder of that path, where a node has one]"""
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FOLDER")] = None
    """A new folder for a file of each part, and merged.json. [vlbench-fleet, or -2, -3 ... where that is there]"""
    resume: bool = False
    """Keep the parts in --out, and run the others."""
    force: shared.Force = False


@reports()
def fleet(options: FleetOptions) -> Sheet:
    """Run a plan on the machines of a Ray cluster, a task for each part, and put the parts together.

    Ends with 6 where a line never came back, which it names, or came twice with different counters.

    - `vlbench fleet plan.jsonl --ray auto`
    - `vlbench fleet plan.jsonl --ray 10.0.0.1:6379 --shards 8 -o week`
    - `vlbench fleet plan.jsonl --ray 10.0.0.1:6379 --shards 8 -o week --resume`
    """
    from vlbench.api.fleet import fleet
    from vlbench.export.results import results_sheet

    found = fleet(**vars(options))
    after = [Words(note, "yellow") for note in found.notes]
    return results_sheet(found.record, after=[*after, Words(f"Results in {found.path}, parts beside it", "dim")])
