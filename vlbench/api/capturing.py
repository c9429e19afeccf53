"""`vlbench.capturable`: can a forward, or a region of it, be a CUDA graph? Answered without a GPU."""

from collections.abc import Callable, Sequence

from vlbench.api.arguments import Names, Towers, several
from vlbench.api.counts import DTYPE, count_job
from vlbench.api.results import Capturable
from vlbench.counting.capture_job import CaptureJob, read_key, read_region, run_capture
from vlbench.export.progress import doing


def capturable(
    tower: Towers = None,
    *,
    key: str | Sequence[str] | None = None,
    region: str | None = None,
    variant: Names = None,
    scenario: str | None = None,
    grid: Names = None,
    gpu: str | None = None,
    cudnn: str | None = None,
    dtype: str = DTYPE,
    progress: bool | Callable[[str], None] = True,
) -> Capturable:
    """Can the forward of each `tower` be a CUDA graph, or its `region`, such as "block[0].attention..merger"?

    Every line on which a capture of the second forward would end is a blocker. Beside each tower that takes one is the
    same with its plan handed in. With a `key`, such as "tokens,frames", small batches that share it are computed in
    float32 by each other's record: one that comes out otherwise refutes the key. The other arguments are those of
    `vlbench.count`. `exit_code` is 3 where a tower cannot be a graph in any of these forms, or its key is refuted.

    Raises UsageError for what cannot be had as asked.
    """
    facts, stages = read_key(key), read_region(region)
    variants = None if variant is None else several(variant)
    job = count_job(tower, variants, scenario, several(grid), gpu, cudnn, dtype)
    asked = CaptureJob(**dict(job), region=stages, key=facts)
    with doing(f"looking for what ends a capture of {', '.join(job.towers)}", progress) as watch:
        return Capturable(run_capture(asked, steps=watch.steps))
