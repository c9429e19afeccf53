"""`vlbench atlas`: what the vision towers of an installed package ask of a GPU, and what a release changed."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from vlbench.cli.completion import files
from vlbench.cli.options import CommandOptions, Cudnn, DtypeName, Force, Gpu, Texts
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, compared


class AtlasOptions(CommandOptions):
    """The options of `vlbench atlas`."""

    READ: ClassVar = {"against": "vlbench.record.atlas:ATLAS", "listed": "vlbench.record.atlas:LISTED"}
    WRITES = True

    package: Annotated[str, typer.Argument()] = "transformers"
    """An installed package of which towers are listed."""
    only: Annotated[Texts, typer.Option(metavar="TOWER")] = None
    """A tower of the list, such as qwen2_vl; repeatable. [all]"""
    listed: Annotated[Path | None, typer.Option("--list", metavar="FILE", autocompletion=files(".toml"))] = None
    """A list of your own. [the one that vlbench ships]"""
    discover: Annotated[bool, typer.Option("--discover")] = False
    """Look for towers that are not listed, and print entries for those that could be counted."""
    check: Annotated[bool, typer.Option("--check")] = False
    """Hold the figures to results/atlas/PACKAGE-VERSION.json."""
    against: Annotated[Path | None, typer.Option(metavar="FILE", autocompletion=files(".json"))] = None
    """Hold the figures to any file that --out wrote."""
    over: Annotated[str | None, typer.Option(metavar="FIRST..LAST")] = None
    """Install these releases, such as 5.19..5.23, into folders of their own, and say what each changed."""
    grid: Annotated[Texts, typer.Option(metavar="TxHxW")] = None
    """A picture that is fed in, in patches; repeatable. [1x36x36 and 1x24x54]"""
    dtype: DtypeName = "bfloat16"
    gpu: Gpu = None
    cudnn: Cudnn = None
    out: Annotated[Path | None, typer.Option(metavar="FILE")] = None
    """Write the atlas, such as results/atlas/transformers-5.23.0.json; with --over a folder, for a file of each."""
    force: Force = False


@reports()
def atlas(options: AtlasOptions) -> Sheet:
    """Count the vision towers of an installed package without a GPU: where each waits, and what a release changed.

    A tower is counted with its grid on the device and on the host, and with what follows from the grid prepared
    outside where the package offers that. Ends with 0, with 6 where a tower could not be counted, and with --check or
    --against as `vlbench diff` does.

    - `vlbench atlas --only qwen2_vl`
    - `vlbench atlas --check`
    - `vlbench atlas --over 5.22..5.23`
    """
    from vlbench.api.surveys import atlas

    given = dict(vars(options))
    found = atlas(given.pop("package"), **given)
    last = f"written to {options.out}" if options.out is not None else ""
    if found.judged is not None:
        return replace(compared(found.judged), last=last)
    own = {"json": lambda: found.record.model_dump_json(indent=1)}
    return Sheet("vlbench atlas", found.parts, exit_code=int(found.exit_code), own=own, last=last)
