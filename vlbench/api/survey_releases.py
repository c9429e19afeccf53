"""The releases of a package counted one after another, and what each changed."""

from itertools import pairwise
from pathlib import Path

from vlbench.counting.run import Steps
from vlbench.errors import UsageError
from vlbench.export.progress import WORTH_SAYING, Shown, Watcher, doing
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import number_of
from vlbench.record.atlas import Atlas
from vlbench.record.destinations import check_output
from vlbench.surveying.difference import differences
from vlbench.surveying.job import AtlasJob
from vlbench.surveying.listed import LACKS, ListedPackage
from vlbench.surveying.releases import chosen, ends, installed, kept_in, known_releases
from vlbench.surveying.run import count_atlas

SECONDS = 1.5
"""For a tower of transformers, on a core that does nothing else."""
STORED = Path("results/atlas")
"""Where the atlases of a repository lie."""


def announce_estimate(watch: Watcher, towers: int) -> None:
    """Say how long counting so many will take, where that is long."""
    if (seconds := towers * SECONDS) > WORTH_SAYING:
        watch.announce(f"counting {number_of(towers, 'tower')} takes about {seconds:.0f} s on a core of its own")


def steps_of(watch: Watcher, before: int = 0, of: int = 1) -> Steps:
    """Towers of one of several releases as steps of them all; the first tells nothing, as it pays for the imports."""
    return lambda done, towers: watch.steps(before * towers + done, of * towers) if done > 1 else None


def count_releases(
    job: AtlasJob, known: ListedPackage, over: str, folder: Path | None, force: bool, progress: Shown
) -> tuple[list[Atlas], Judged]:
    """The atlas of each release of `over`, the oldest first, and what moved from each to the next.

    Into `folder` a file of each is written. A release that cannot be installed or counted is a row of the verdicts.
    Raises UsageError for a range or a folder that is none, and where no release could be counted.
    """
    ends(over)
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--out {folder}: no folder; with --over name one, such as {STORED}, for a file of each")
    counted: list[Atlas] = []
    failed: dict[str, str] = {}
    with doing(f"asking the index for releases of {job.package}", progress) as watch:
        versions = chosen(known_releases(job.package), over)
        goals = {each: folder / f"{job.package}-{each}.json" for each in versions} if folder else {}
        for goal in goals.values():
            check_output(goal, "--out", force=force)
        watch.announce(
            f"installing {len(versions)} releases of {job.package} ({', '.join(versions)}) into {kept_in()}, where "
            "they are not there yet: a wheel of about 10 MB each; what they need is what is installed here"
        )
        announce_estimate(watch, len(job.towers) * len(versions))
        notes: list[str] = []
        for number, each in enumerate(versions):
            watch.say(f"installing {job.package} {each}")
            try:
                release = installed(job.package, each)
                notes.append(release.words)
                watch.announce(release.words)
                watch.say(f"counting {job.package} {each}, release {number + 1} of {len(versions)}")
                here = job.model_copy(update={"folder": str(release.folder)})
                steps = steps_of(watch, number, len(versions))
                found = count_atlas(here, aliases=known.aliases, left_out=known.left_out, steps=steps)
            except UsageError as error:
                failed[each] = str(error)
                watch.announce(f"{each}: not counted: {error}")
                continue
            counted.append(found)
            if goals:
                found.keep(goals[each])
    if not counted:
        raise UsageError(f"--over {over}: no release could be counted: {'; '.join(failed.values())}")
    return counted, _between(job.package, counted, failed, notes)


def _between(package: str, counted: list[Atlas], failed: dict[str, str], notes: list[str]) -> Judged:
    """What moved from each release to the next; a release that could not be counted is missing."""
    rows = [JudgedRow.missing(f"{package} {each}", "counters", reason) for each, reason in failed.items()]
    for before, after in pairwise(counted):
        step = differences(before, after)
        moved = [row for row in step.rows if row.verdict is not Verdict.SAME]
        rows += [row.model_copy(update={"cell": f"{after.version}: {row.cell}", "gates": False}) for row in moved]
        told = f"{len(moved)} of {len(step.rows)} ways are not as they were"
        rows.append(JudgedRow.counted(f"{package} {before.version} to {after.version}", [], told))
        notes += [f"{after.version}: {note}" for note in step.notes]
    for each in counted:
        lacking = [row.name for row in each.rows if row.failed.startswith(LACKS)]
        notes += [f"{each.version} does not have {', '.join(lacking)}"] if lacking else []
        rows += [
            JudgedRow.missing(f"{each.version}: {row.name}", "counters", row.failed or row.ways[0].failed, gates=False)
            for row in each.rows
            if not row.counted and row.name not in lacking
        ]
    return Judged(
        command="atlas",
        before=counted[0].title,
        after=counted[-1].title,
        rows=tuple(rows),
        notes=tuple(notes),
        false_alarms=None,
        enforced=bool(failed),
        seconds=sum(each.seconds for each in counted),
    )
