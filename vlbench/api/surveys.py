"""`vlbench.atlas`: what the vision towers of an installed package ask of a GPU, and what a release changed in it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vlbench.api.arguments import File, Names, path_of, several
from vlbench.api.defaults import defaults
from vlbench.api.results import Result, Rows
from vlbench.api.survey_releases import STORED, announce_estimate, count_releases, steps_of
from vlbench.counting.job import parse_grid
from vlbench.errors import IncomparableError, UsageError
from vlbench.export.atlas import atlas_parts
from vlbench.export.progress import doing
from vlbench.export.sheet import Part, Table, Words, records
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.judged import Judged
from vlbench.judging.words import number_of
from vlbench.record.atlas import Atlas, read_atlas
from vlbench.record.destinations import check_output
from vlbench.surveying.difference import differences
from vlbench.surveying.discover import discovered
from vlbench.surveying.forms import form_of
from vlbench.surveying.job import AtlasJob
from vlbench.surveying.listed import Listed, ListedPackage, as_toml, listed_package
from vlbench.surveying.run import count_atlas
from vlbench.towers.models import find_dtype

PACKAGE = "transformers"
GRIDS = ("1x36x36", "1x24x54")
"""Two pictures of as many patches: what a tower does for each of them shows."""


@dataclass(frozen=True, repr=False)
class Surveyed(Result):
    """The towers of a package, a row for each way to call one; with verdicts where it was held against another."""

    record: Atlas
    judged: Judged | None = None
    earlier: tuple[Atlas, ...] = ()
    """Of releases before it, the oldest first."""
    proposed: str = ""
    """Entries for the list, of what was discovered and could be counted."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return f"{self.record.title}: {number_of(len(self.record.rows), 'tower')}, counted as {self.record.profile}"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        if self.judged is not None:
            return self.judged.exit_code
        return ExitCode.OK if self.record.complete or self.proposed else ExitCode.MISSING

    @property
    def parts(self) -> list[Part]:
        """What a terminal shows."""
        parts = list(atlas_parts(self.record))
        if not self.proposed:
            return parts
        return [Words(self.proposed), *(part for part in parts if isinstance(part, Words) and part.style == "dim")]

    def _rows(self) -> Rows:
        return records(part for part in atlas_parts(self.record) if isinstance(part, Table) and part.name == "atlas")


def atlas(
    package: str = PACKAGE,
    *,
    only: Names = None,
    listed: File | None = None,
    discover: bool = False,
    check: bool = False,
    against: File | None = None,
    over: str | None = None,
    grid: Names = GRIDS,
    gpu: str | None = None,
    cudnn: str | None = None,
    dtype: str = "bfloat16",
    out: File | None = None,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Surveyed:
    """Count the vision towers of an installed package that are listed, on pictures of `grid` patches.

    `only` names some of them; `listed` is a list of one's own. With `discover` what the list does not have is looked
    for in the source and tried, and `.proposed` has entries to accept. With `check` the figures are held to the file of
    this release in results/atlas, with `against` to any such file. `over`, such as "5.19..5.23", has pip install these
    releases into folders of their own and counts each in a process of its own. `out` is the file that is written; with
    `over` a folder, for a file of each release. Raises UsageError for what cannot be had as asked.
    """
    if sum((discover, check, against is not None, over is not None)) > 1:
        raise UsageError("--discover, --check, --against and --over are one thing each; give one of them")
    usual = defaults()
    profile, cudnn = usual.answered_for(gpu, cudnn)
    known = listed_package(package, path_of(listed)) if not discover else _not_listed(package, path_of(listed))
    towers = tuple(known.only(several(only)))
    stored = read_atlas(_stored(package)) if check else read_atlas(Path(against)) if against is not None else None
    grids = tuple(map(parse_grid, several(grid) or GRIDS))
    goal = path_of(out)
    job = AtlasJob(package=package, towers=towers, grids=grids, profile=profile, cudnn=cudnn, dtype=find_dtype(dtype))
    if over is not None:
        counted, judged = count_releases(job, known, over, goal, force, progress)
        return Surveyed(counted[-1], judged, tuple(counted[:-1]))
    if goal is not None:
        check_output(goal, "--out", force=force)
    with doing(f"counting {number_of(len(towers), 'tower')} of {package}", progress) as watch:
        announce_estimate(watch, len(towers))
        found = count_atlas(job, aliases=known.aliases, left_out=known.left_out, steps=steps_of(watch))
    if listed is not None and not any(row.counted for row in found.rows):
        first = found.rows[0]
        raise UsageError(
            f"{listed}: no tower of it could be counted; {first.name}: {first.failed or first.ways[0].failed}"
        )
    if goal is not None:
        found.keep(goal)
    if discover:
        return _proposal(found, towers)
    if stored is None:
        return Surveyed(found)
    wanted = {each.name for each in towers}
    rows = tuple(row for row in stored.rows if row.name in wanted) if several(only) else stored.rows
    return Surveyed(found, differences(stored.model_copy(update={"rows": rows}), found, all_stored=check))


def _stored(package: str) -> Path:
    """The file of the installed release. Raises UsageError, and IncomparableError where there is none."""
    try:
        path = STORED / f"{package}-{version(package)}.json"
    except PackageNotFoundError:
        raise UsageError(f"{package} is not installed; pip install {package}") from None
    if not path.exists():
        there = ", ".join(each.name for each in sorted(STORED.glob(f"{package}-*.json"))) or "no other"
        raise IncomparableError(f"there is no {path} ({there} is there); store it: `vlbench atlas --out {path}`")
    return path


def _not_listed(package: str, path: Path | None) -> ListedPackage:
    """What is discovered, without what is listed or left out."""
    found = discovered(package)
    try:
        known = listed_package(package, path)
    except UsageError:
        if path is not None:
            raise
        known = ListedPackage()  # a package that the shipped list does not have
    classes = {each.tower for each in known.towers.values()}
    new = {
        name: each for name, each in found.towers.items() if each.tower not in classes and name not in known.left_out
    }
    return found.model_copy(update={"towers": new})


def _proposal(found: Atlas, towers: tuple[Listed, ...]) -> Surveyed:
    """Entries of what could be counted; what could not is left out with its reason."""
    entries = []
    for listed, row in zip(towers, found.rows, strict=True):
        if row.counted:
            entries.append(as_toml(found.package, listed.model_copy(update={"form": form_of(row.form)})))
    return Surveyed(found, proposed="\n\n".join(entries) or f"# {found.package}: nothing that is not listed")
