"""`vlbench recommend`: which flags help here, and the smallest set that is as good, as a preset file."""

from pathlib import Path
from typing import Annotated

import typer

from vlbench.api.arguments import UNREAD
from vlbench.cli import options as shared
from vlbench.cli.completion import files, named
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


class Options(shared.ModelOptions):
    """The options of `vlbench recommend`; those of `vlbench.recommend` have the same names."""

    UNREAD = UNREAD["recommend"]
    WRITES = True

    scenario: Annotated[str | None, typer.Option(autocompletion=named("scenarios", files(".toml", ".jsonl")))] = None
    """A shipped scenario (`vlbench list scenarios`) or a .toml file. [multi-image]"""
    point: str | None = None
    """Which point of it, where a list in it makes several."""
    grid: shared.Grids = None
    start: Annotated[str, typer.Option(autocompletion=named("presets"))] = "best"
    """The preset whose flags are taken out, and into which others are put."""
    device: shared.DeviceName = "auto"
    """cpu, cuda, or auto; cuda without a GPU chooses from counts alone."""
    counters: bool = True
    """Count what each flag asks of a GPU, too, at full size."""
    gpu: Annotated[shared.Texts, typer.Option("--gpu", autocompletion=named("boards", files(".json", ".gz")))] = None
    """The GPU to predict for, where it is not at hand: h100, l40s, b200 ...; repeatable. [h100]"""
    cudnn: shared.Cudnn = None
    trials: Annotated[int | None, typer.Option(min=1)] = None
    """Processes that choose, and as many that confirm: 5 give a verdict. [5 on a CPU, 1 on CUDA]"""
    budget: Annotated[float | None, typer.Option(min=1)] = None
    """Seconds for all of it. [600 on a CPU, 120 on CUDA]"""
    timeout: shared.Timeout = 900
    out: Path | None = None
    """The preset file. [preset-SCENARIO.toml, or -2, -3 ... where that is there]"""
    force: shared.Force = False


@reports()
def recommend(options: Options) -> Sheet:
    """Say of each flag whether it helps on this device, model and shapes, and write the smallest set as a preset file.

    Each change of the set is timed against the whole; the set is chosen by some trials and confirmed by others. Ends
    with 0, with 4 where fresh trials do not confirm the set, 5 where it is wrong, 6 where time was lacking.

    - `vlbench recommend --scenario multi-image`
    - `vlbench recommend --model qwen2.5-vl-7b --device cuda --grid 1x36x36 --gpu h100`
    """
    from vlbench.api.recommending import recommend
    from vlbench.api.running import scenarios_of
    from vlbench.export.recommended import recommended_sheet
    from vlbench.record.destinations import free_output

    fed = "grid" if options.grid else Path(scenarios_of(options.scenario)[0]).stem
    out = options.out or free_output(f"preset-{fed}", ".toml")
    return recommended_sheet(recommend(**vars(options) | {"out": out}).record)
