"""`vlbench predict`: what towers would take on GPUs that are not here."""

from pathlib import Path
from typing import Annotated, ClassVar

import typer

from vlbench.api.arguments import UNREAD
from vlbench.cli.completion import files, named
from vlbench.cli.count import Counted, refuse_stray
from vlbench.cli.options import CAPTURES, Cudnn, Force, Texts
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet


class PredictOptions(Counted):
    """The options of `vlbench predict`."""

    UNREAD = UNREAD["predict"] | {"capture": "tower variant scenario grid dtype cudnn cold perfetto check budget force"}
    READ: ClassVar = {"capture": CAPTURES}

    gpu: Annotated[Texts, typer.Option("--gpu", autocompletion=named("boards", files(".json", ".gz")))] = None
    """The GPU to predict for: h100, l40s, b200 ..., or the file of a board; repeatable. [h100]"""
    cudnn: Cudnn = None
    cold: Annotated[bool, typer.Option("--cold")] = False
    """Predict the first forward, in place of the second."""
    perfetto: Annotated[Path | None, typer.Option("--perfetto", metavar="FILE")] = None
    """Write the predicted timelines for Perfetto, a .json or .json.gz file."""
    limit: Annotated[int, typer.Option(min=0)] = 5
    """Rows of what would pay and of stages; 0 is all."""
    capture: Annotated[
        Path | None,
        typer.Option("--capture", metavar="FILE", autocompletion=files(".sqlite", ".nsys-rep", ".json", ".gz")),
    ] = None
    """Hold a profiler's capture, of nsys or torch, against the model: its kernels and its host, in place of towers."""
    check: Annotated[Path | None, typer.Option("--check", metavar="FILE")] = None
    """Predict for the GPU of this machine, keep that in FILE, then measure the same rows and keep both."""
    budget: Annotated[float | None, typer.Option(min=1)] = None
    """With --check: seconds of measuring. [300]"""
    force: Force = False


@reports()
def predict(options: PredictOptions) -> Sheet:
    """Predict what a tower takes on a GPU that is not here, as a band, and what would pay there.

    Events are counted, kernels have times of measured tables, hosts those of captures; nothing is measured here.
    Ends with 0, with 2 if an option is wrong, with 6 if something has no predicted time; with --check, which needs a
    GPU, also with 5 if a result is wrong there.

    - `vlbench predict --gpu h100 --gpu l40s`
    - `vlbench predict --tower my_tower:make --gpu b200 --perfetto timeline.json.gz`
    - `vlbench predict --capture trace.json.gz`
    """
    from vlbench.api.predicting import predict, predict_capture
    from vlbench.export.checked_prediction import prediction_sheet
    from vlbench.export.held_capture import held_capture_sheet

    refuse_stray(options)
    if options.capture:
        if len(options.gpu or []) > 1:
            raise UsageError("--gpu: a capture is of one GPU; name one")
        held = predict_capture(options.capture, gpu=next(iter(options.gpu or []), None))
        return held_capture_sheet(held.record, options.limit)
    found = predict(
        options.tower,
        gpu=options.gpu,
        variant=options.variant or None,
        scenario=options.scenario,
        grid=options.grid,
        cudnn=options.cudnn,
        dtype=options.dtype,
        cold=options.cold,
        perfetto=options.perfetto,
        check=options.check,
        budget=options.budget,
        force=options.force,
    )
    return prediction_sheet(found.checked or found.record, options.limit)
