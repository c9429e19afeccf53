"""A first baseline: which cells it holds, and where it may be written."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import Steps
from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.acceptance import keep_thresholds, seal
from vlbench.gating.accuracy import outputs_of
from vlbench.gating.manifest import NAME, read_manifest
from vlbench.gating.recount import CountRequest, recount
from vlbench.record.baseline import Acceptance, Baseline, CapturedCell, CountedCell, TimedCell
from vlbench.record.baseline_files import PROPOSED, load_baseline
from vlbench.record.destinations import check_folder, check_output
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.outputs import StoredOutputs
from vlbench.record.schema import Dtype


def count_requests(
    towers: Sequence[str],
    variants: tuple[str, ...] | None,
    points: Sequence[Point],
    profile: str,
    dtype: Dtype,
    cudnn: str = "",
) -> list[CountRequest]:
    """Every tower on every point; one of our models stands for its reference tower and its `variants`, or its presets.

    Raises UsageError for a tower of ours or a variant that does not exist. Nobody's factory is imported here.
    """
    from vlbench.counting.rows import rows_of
    from vlbench.implementations.config import MODELS
    from vlbench.towers.resolve import check_tower, is_foreign

    models = tuple(text for text in towers if text in MODELS)
    job = CountJob(towers=models, variants=variants, points=(), profile=profile, dtype=dtype)
    others = [text for text in towers if text not in MODELS]
    for text in others:
        if not is_foreign(text):
            check_tower(text)
    names = dict.fromkeys([*(row.tower for row in rows_of(job)), *others])
    return [CountRequest(name, point, profile, dtype, cudnn) for name in names for point in points]


def count_all(requests: Sequence[CountRequest], steps: Steps = lambda done, of: None) -> tuple[CountedCell, ...]:
    """Every cell counted. Raises IncomparableError, naming the first that cannot be: half a baseline guards nothing."""
    (found,) = recount([requests], steps)
    cells = []
    for each in requests:
        counted = found[each]
        if counted.cell is None:
            point = " ".join(filter(None, (each.point.scenario, each.point.label)))
            raise IncomparableError(
                f"{each.tower} on {point} cannot be counted: {counted.reason}; mend it or leave it out"
            )
        cells.append(counted.cell)
    return tuple(cells)


def count_stored(path: Path, stored: Sequence[CountedCell]) -> dict[str, CountedCell]:
    """Cells of a baseline counted again, by name. Raises IncomparableError where one cannot be, or is another now."""
    found = count_all([CountRequest.of(cell) for cell in stored])
    for cell, now in zip(stored, found, strict=True):
        refuse_other(path, cell, now)
    return {cell.name: cell for cell in found}


def refuse_other(path: Path, stored: CountedCell, now: CountedCell) -> None:
    """Raises IncomparableError where what was counted for a stored cell is another cell, and so no new count of it."""
    if now.name == stored.name:
        return
    here = f"{path}: {stored.name}"
    if now.key.platform != stored.key.platform:
        a, b = (each.key.platform or "GPU" for each in (stored, now))
        raise IncomparableError(
            f"{here}: it was counted in its code for a {a}, and this is code for a {b}: such counts do not compare; "
            f"run this where its code is for a {a}, or save a baseline anew"
        )
    raise IncomparableError(f"{here}: what is counted now is {now.name}, which is another cell; save a baseline anew")


def store_outputs(towers: Iterable[str], why: str | None) -> tuple[tuple[StoredOutputs, ...], dict[str, str]]:
    """The outputs that towers will be checked against, and those that `why` leaves unchecked.

    Raises IncomparableError for a tower that cannot be checked, where `why` is None.
    """
    outcomes = outputs_of(towers)
    failed = {tower: outcome.reason for tower, outcome in outcomes.items() if outcome.outputs is None}
    if failed and why is None:
        tower, reason = next(iter(failed.items()))
        raise IncomparableError(
            f"{tower}: its result cannot be checked here: {reason}; mend that, or count it unchecked with "
            '--unchecked "REASON"'
        )
    stored = tuple(outcome.outputs for outcome in outcomes.values() if outcome.outputs is not None)
    return stored, dict.fromkeys(failed, why or "")


def refuse_goal(path: Path, force: bool) -> None:
    """Raises UsageError for a file that a first baseline may not be written to. To be asked before measuring.

    IncomparableError for a manifest beside it that cannot be read, and so not be added to.
    """
    if path.suffix != ".json" or path.name.endswith(PROPOSED):
        raise UsageError(
            f"{path}: a baseline is a .json file, and {PROPOSED} stands for proposals; choose another name"
        )
    if path.exists() and not path.is_dir() and not force:
        raise UsageError(
            f"{path}: it is there already; `vlbench gate` proposes and `vlbench baseline accept` takes new figures, "
            "--force writes over it, keeps its thresholds and loses its history"
        )
    check_folder(path.parent, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    check_output(path, "FILE", force=True)
    read_manifest(path.parent)
    check_output(path.parent / NAME, "the manifest", force=True)


def save(
    path: Path,
    here: Fingerprint,
    entry: Acceptance,
    *,
    counted: tuple[CountedCell, ...] = (),
    timed: tuple[TimedCell, ...] = (),
    captured: tuple[CapturedCell, ...] = (),
    outputs: tuple[StoredOutputs, ...] = (),
    unchecked: Mapping[str, str] | None = None,
    force: bool = True,
) -> Baseline:
    """Write a first baseline, into a folder that is made where it is not there; returns it.

    Without `force` nothing is overwritten, also not what came to be there meanwhile. What is overwritten hands its
    thresholds on to cells of the same names.

    Raises UsageError for a file that cannot be written, or where there is nothing to write.
    """
    made = Baseline(
        name=path.stem,
        fingerprint=here,
        counted=counted,
        timed=timed,
        captured=captured,
        outputs=outputs,
        unchecked=dict(unchecked or {}),
        accepted=(),
    )
    if not made.cells:
        raise UsageError(f"{path}: there is nothing to save; name what to count with --tower")
    if path.exists():
        with suppress(UsageError, IncomparableError):  # it holds no baseline, and so no threshold
            made = keep_thresholds(made, load_baseline(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    return seal(path, made, entry, new=not force)
