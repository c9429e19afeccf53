"""`vlbench.predict`: what towers would take on GPUs that are not here: counts, measured tables and a host model."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from vlbench.api import running
from vlbench.api.arguments import File, Names, Towers, path_of, several
from vlbench.api.counts import DTYPE, SCENARIO, count_job
from vlbench.api.defaults import defaults
from vlbench.api.measured import Interrupted
from vlbench.api.results import Held, Predictions
from vlbench.counting.job import CountJob
from vlbench.errors import UsageError
from vlbench.export.progress import Shown, doing
from vlbench.implementations.config import MODELS
from vlbench.predicting.captured import held_capture
from vlbench.predicting.checked import CheckedPrediction, board_of, check_gpu, cudnn_here
from vlbench.predicting.predicted import Prediction
from vlbench.predicting.run import run_predict
from vlbench.record.destinations import check_output
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.schema import Results
from vlbench.trial.machine import fingerprint_of

GPU = "h100"


def predict(
    tower: Towers = None,
    *,
    gpu: Names = None,
    variant: Names = None,
    scenario: str | None = None,
    grid: Names = None,
    cudnn: str | None = None,
    dtype: str = DTYPE,
    cold: bool = False,
    perfetto: File | None = None,
    check: File | None = None,
    budget: float | None = None,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Predictions:
    """Predict what each `tower` takes on each `gpu`, such as "h100", at full size and without a GPU.

    Towers, variants, `scenario` and `grid` are those of `count`; what is predicted is the second forward, or with
    `cold` the first. Spans are bands in seconds, from a fast host with the lowest kernel times to a slow one with the
    highest; a row's `ratio` is the first row's span over its own, in pairs under one host and one error. `perfetto` is
    a file for the predicted timelines. With `check`, a file, the prediction is for the GPU of this machine and its
    cuDNN: it is kept there, then the same rows are measured, in `budget` seconds or those of `run`, and both are kept.

    Raises UsageError for what cannot be had as asked. `exit_code` is 6 where a row has no span; with `check` also where
    one was not timed, and 5 where its result is wrong. Whether a band held what was measured changes nothing.
    """
    trace, kept = path_of(perfetto), path_of(check)
    for option, path in {"--perfetto": trace, "--check": kept}.items():
        if path is not None:
            check_output(path, option, force=force)
    here, gpus = None, list(dict.fromkeys(several(gpu))) or [GPU]
    if kept is not None:
        check_gpu()
        here = fingerprint_of("cuda")
        gpus, cudnn = [board_of(here.gpu or "")], cudnn or cudnn_here(here)
    variants = None if variant is None else several(variant)
    job = count_job(tower, variants, scenario, several(grid), cudnn=cudnn, dtype=dtype)
    if here is not None:
        check_measured(job)
    with doing(f"predicting {', '.join(job.towers)} on {', '.join(gpus)}", progress) as watch:
        found = run_predict(job, gpus, "cold" if cold else "warm", trace, steps=watch.steps)
    if kept is None or here is None:
        return Predictions(found)
    measure = partial(measured, job, found, scenario, budget, progress)
    return Predictions(found, _checked(found, here, kept, measure))


def _checked(
    found: Prediction, here: Fingerprint, kept: Path, measure: Callable[[], tuple[Results, Interrupted | None]]
) -> CheckedPrediction:
    """A prediction for the GPU of this machine and what is then measured, both kept in a file.

    Raises Interrupted where that ended early.
    """
    checked = CheckedPrediction(fingerprint=here, predicted=datetime.now(UTC), prediction=found)
    checked.keep(kept)  # before anything is measured
    seen, ended = measure()
    checked = checked.model_copy(update={"measured": seen})
    checked.keep(kept)
    if ended:
        raise ended
    return checked


def check_measured(job: CountJob) -> None:
    """Raises UsageError for towers that no one run can hold against each other."""
    if len(job.towers) > 1 and any(each in MODELS for each in job.towers):
        raise UsageError(
            "--check: --tower names one of our models beside another tower; give that one alone, with its --with"
        )


def measured(
    job: CountJob, found: Prediction, scenario: str | None, budget: float | None, progress: Shown
) -> tuple[Results, Interrupted | None]:
    """The rows of a prediction, timed on the GPU of this machine; with what ended that early, if anything did."""
    chosen = scenario or defaults().scenario or SCENARIO
    named: dict[str, Any] = {"tower": list(job.towers)}
    if job.towers[0] in MODELS:
        named = {"model": job.towers[0], "variant": list(dict.fromkeys(row.row for row in found.groups[0].rows))}
    try:
        timed = running.run(chosen, device="cuda", dtype=job.dtype, budget=budget, progress=progress, **named)
        return timed.record, None
    except Interrupted as end:
        return end.results.record, end


def predict_capture(capture: File, *, gpu: str | None = None) -> Held:
    """Hold a capture of a profiler, nsys or torch's, against the model that `predict` has.

    Of operators whose shapes a torch trace names (`record_shapes=True`): what their kernels took beside the tables of
    the GPU that it was taken on, or of `gpu`, where that has no name. Of the host: what each act took beside the
    figures of other captures. Raises UsageError for what is none, and for a `gpu` that is another than the capture's.
    `exit_code` is 6 where nothing of it is predicted.
    """
    return Held(held_capture(Path(capture), gpu))
