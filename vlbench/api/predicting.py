"""`vlbench.predict`: what towers would take on GPUs that are not here: counts, measured tables and a host model."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from vlbench.api import running
from vlbench.api.arguments import File, Names, Towers, path_of, several
from vlbench.api.counts import DTYPE, SCENARIO, count_job
from vlbench.api.defaults import defaults
from vlbench.api.measured import Measured
from vlbench.api.results import Predictions
from vlbench.errors import UsageError
from vlbench.export.progress import watcher
from vlbench.implementations.config import MODELS
from vlbench.predicting.checked import CheckedPrediction, TimeSeen, board_of, gpu_here
from vlbench.predicting.run import run_predict
from vlbench.record.destinations import check_output

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
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Predictions:
    """Predict what each `tower` takes on each `gpu`, such as "h100", at full size and without a GPU.

    Towers, variants, `scenario` and `grid` are those of `count`; what is predicted is the second forward, or with
    `cold` the first. Spans are bands in seconds, from a fast host with the lowest kernel times to a slow one with the
    highest; a row's `ratio` is the first row's span over its own, in pairs under one host and one error. `perfetto` is
    a file for the predicted timelines. With `check`, a file, the prediction is for the GPU of this machine: it is kept
    there, then the same rows are measured, and both are kept.

    Raises UsageError for what cannot be had as asked. `exit_code` is 6 where a row has no span.
    """
    here = gpu_here() if check is not None else ""
    gpus = [board_of(here)] if here else list(dict.fromkeys(several(gpu))) or [GPU]
    variants = None if variant is None else several(variant)
    job = count_job(tower, variants, scenario, several(grid), cudnn=cudnn, dtype=dtype)
    trace, kept = path_of(perfetto), path_of(check)
    for option, path in {"--perfetto": trace, "--check": kept}.items():
        if path is not None:
            check_output(path, option, force=force)
    with watcher(progress) as watch:
        watch.say(f"predicting {', '.join(job.towers)} on {', '.join(gpus)}")
        found = run_predict(job, gpus, "cold" if cold else "warm", trace, steps=watch.steps)
    if kept is None:
        return Predictions(found)
    checked = CheckedPrediction(gpu=here, predicted=datetime.now(UTC), prediction=found)
    checked.keep(kept)  # before anything is measured
    times = times_of(measured(job.towers, variants, scenario, dtype, progress))
    checked = checked.model_copy(update={"measured": datetime.now(UTC), "times": times})
    checked.keep(kept)
    return Predictions(found, checked)


def measured(
    towers: Sequence[str],
    variants: list[str] | None,
    scenario: str | None,
    dtype: str,
    progress: bool | Callable[[str], None],
) -> Measured:
    """The same rows, timed on the GPU of this machine."""
    chosen = scenario or defaults().scenario or SCENARIO
    models = [each for each in towers if each in MODELS]
    others = [each for each in towers if each not in MODELS]
    if models and others:
        raise UsageError("--check: --tower names models and other towers; give it either of them")
    named = {"model": models, "variant": variants} if models else {"tower": others}
    return running.run(chosen, device="cuda", dtype=dtype, progress=progress, **named)


def times_of(found: Measured) -> tuple[TimeSeen, ...]:
    """What each row took."""
    return tuple(
        TimeSeen(scenario=row["scenario"], point=row["point"], row=row["variant"], seconds=row["seconds"])
        for row in found._rows()
    )
