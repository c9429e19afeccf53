"""What `vlbench calibrate --board` does: measures the device at hand as a board that `predict` takes."""

from collections.abc import Callable
from pathlib import Path

from vlbench.api.arguments import File, check
from vlbench.errors import UsageError
from vlbench.export.progress import doing
from vlbench.kernel_times.hold_out import with_errors
from vlbench.kernel_times.stored import StoredBoard
from vlbench.record.destinations import check_output
from vlbench.record.files import write_whole
from vlbench.towers.models import find_device, find_dtype

SECONDS = 30.0


def measure_board(
    out: File,
    *,
    device: str = "auto",
    dtype: str = "bfloat16",
    budget: float | None = None,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> StoredBoard:
    """Measure products, attention and moved bytes here for `budget` seconds, and keep them in `out`, a .json file.

    Shapes are those of the stored boards, a coarse grid of all first. On a GPU the host is measured as well. With them
    come the errors of rows that are held out. Raises UsageError for what cannot be had as asked.
    """
    from vlbench.predicting.measured_board import measured_board
    from vlbench.predicting.measured_host import host_factors
    from vlbench.record.fingerprint import take_fingerprint
    from vlbench.record.precision import turn_tf32_off

    path, seconds = Path(out), budget or SECONDS
    check({"budget": seconds})
    if path.suffix != ".json":
        raise UsageError(
            f"--board {path}: a board is JSON, by whose ending `predict --gpu` knows it; name a .json file"
        )
    check_output(path, "--board", force=force)
    kind, chosen = find_device(device), find_dtype(dtype)
    turn_tf32_off()
    here = take_fingerprint(kind)
    with doing(f"measuring kernels on {here.gpu or here.cpu}, for {seconds:.0f} s at most", progress) as watch:
        found = measured_board(kind, here.gpu or here.cpu, chosen, seconds, watch.steps)
        watch.say("looking up each row without itself, and measuring the host")
        found = with_errors(found)
        write_whole(path, found.model_dump_json() + "\n")  # whatever becomes of the host
        if kind == "cuda":
            found = found.model_copy(update={"host": host_factors(chosen)}).with_checksum()
            write_whole(path, found.model_dump_json() + "\n")
    return found
