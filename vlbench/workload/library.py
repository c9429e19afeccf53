"""Finding scenarios: shipped ones by name, one's own by path, and the batches that accuracy is checked on."""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.traffic.trace import is_trace
from vlbench.untrusted.files import Kind, read_toml
from vlbench.untrusted.limits import Limit
from vlbench.workload.mix import read_distribution
from vlbench.workload.scenario import CpuTable, Item, ScenarioFile, ScenarioPoint, complaint
from vlbench.workload.sweep import Table, unroll

SCENARIO = Kind(
    "give the path of a scenario file",
    Limit.SCENARIO,
    absent="{path} does not exist; {remedy} or a shipped name",
    folder="{path} cannot be read as text ({why}); {remedy}",
    binary="{path} cannot be read as text ({why}); {remedy}",
    broken="{path} is not TOML ({why}); mend it",
)
BATCHES: dict[str, tuple[tuple[int, str], ...]] = {
    "smallest": ((1, "2x2"),),
    "one image": ((1, "36x36"),),
    "aligned": ((1, "16x16"), (1, "8x24")),
    "ragged": ((1, "10x6"), (1, "18x14"), (1, "34x46")),
    "strips": ((1, "2x200"), (1, "120x2")),
    "video": ((8, "12x20"),),
    "mixed": ((1, "16x16"), (6, "6x10"), (1, "2x2"), (2, "18x18")),
    "equal images": ((1, "12x12"), (1, "12x12"), (1, "12x12")),
    "other frames": ((3, "12x12"), (1, "12x12")),
    "other order": ((1, "12x12"), (3, "12x12")),
    "other sides": ((8, "20x12"), (1, "6x10"), (1, "10x6")),
}
"""Frames and patches of the items in each batch that is checked."""
DeviceKind = Literal["cpu", "cuda"]
FileTable = TypeVar("FileTable", ScenarioFile, CpuTable)


@dataclass(frozen=True)
class Scenario:
    """A scenario file that has been read and found sound for both kinds of device."""

    name: str
    title: str
    stands_for: str
    path: Path
    on_cuda: tuple[ScenarioPoint, ...]
    on_cpu: tuple[ScenarioPoint, ...]

    def points(self, device_kind: DeviceKind) -> list[ScenarioPoint]:
        """The points of the sweep on this kind of device; on a CPU they may be smaller and then say why."""
        return list(self.on_cpu if device_kind == "cpu" else self.on_cuda)


def one_point(scenario: str, point: str | None, device_kind: DeviceKind) -> ScenarioPoint:
    """The point of that label, which may be left out where there is but one. Raises UsageError."""
    points = {each.label: each for each in load_scenario(scenario).points(device_kind)}
    if point is None and len(points) > 1:
        raise UsageError(f"--scenario {scenario} has the points {', '.join(points)}; choose one with --point")
    if point is not None and point not in points:
        raise UsageError(f"--point: {scenario} has no point {point!r}; it has {', '.join(map(repr, points))}")
    return next(iter(points.values())) if point is None else points[point]


def shipped_folder() -> Path:
    """The folder of the shipped scenarios and photos, in a checkout as in an installed wheel."""
    return Path(str(files("vlbench") / "scenarios"))


def scenario_names() -> list[str]:
    """Names of the shipped scenarios, sorted."""
    return sorted(path.stem for path in shipped_folder().glob("*.toml"))


def case_names() -> list[str]:
    """Names of the shipped cases, sorted."""
    return sorted(path.stem for path in (shipped_folder() / "cases").glob("*.toml"))


def case_path(name: str) -> Path:
    """Where the shipped case of this name is, or the user's own file that ends in .toml. Raises UsageError."""
    if Path(name).suffix == ".toml":
        return Path(name)
    if name not in case_names():
        close = get_close_matches(name, case_names(), n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UsageError(f"there is no case {name!r}{hint}; the cases are {', '.join(case_names())}")
    return shipped_folder() / "cases" / f"{name}.toml"


def scenarios_and_prompts() -> list[str]:
    """The names that `--scenario` of a run takes."""
    return [*scenario_names(), *prompt_tables()]


def prompt_tables() -> dict[str, dict[str, Any]]:
    """The shipped prompts by name, as a file has them: `vlbench.workload.prompts`, which makes them, imports torch."""
    return read_toml(Path(str(files("vlbench.workload") / "prompts.toml")), SCENARIO)


def load_scenario(name_or_path: str) -> Scenario:
    """Read the shipped scenario of this name, or the user's own file: one of .toml, or recorded calls of .jsonl.

    Raises `UsageError`, with one sentence, for an unknown name and for a file that does not fit the schema.
    """
    path = Path(name_or_path)
    if is_trace(name_or_path):
        return _recorded(path)
    if path.suffix != ".toml":
        if name_or_path not in scenario_names():
            raise UsageError(_unknown(name_or_path))
        path = shipped_folder() / f"{name_or_path}.toml"
    table = read_toml(path, SCENARIO)
    cpu = table.pop("cpu", None)

    main = _unroll(path, table, ScenarioFile, "")
    on_cuda = tuple(_point(path, label, feed, None) for label, feed in main)
    on_cpu = on_cuda
    if cpu is not None:
        if not isinstance(cpu, dict):
            raise UsageError(f"{path}: cpu has to be a table; write it as [cpu]")
        smaller = _unroll(path, _lay_over(table, cpu), CpuTable, "cpu.")
        on_cpu = tuple(_point(path, label, feed, feed.why) for label, feed in smaller)
    for distribution in dict.fromkeys(point.mix.distribution for point in (*on_cuda, *on_cpu) if point.mix):
        read_distribution(distribution)  # a wrong one is told before anything draws from it
    head = main[0][1]
    return Scenario(path.stem, head.title, head.stands_for, path.resolve(), on_cuda, on_cpu)


def batch_point(name: str) -> ScenarioPoint:
    """One of BATCHES as something to feed in: noise, whose every patch differs."""
    items = (Item(kind="video", grid=grid, frames=2 * t) if t > 1 else Item(grid=grid) for t, grid in BATCHES[name])
    return ScenarioPoint(scenario="verify", label=name, source="noise", item=tuple(items))


def _recorded(path: Path) -> Scenario:
    """The first of the calls that were recorded, as one point. Raises UsageError."""
    from vlbench.workload.recorded import recorded

    (title, told), point = recorded(path)
    return Scenario(path.stem, title, told, path.resolve(), (point,), (point,))


def _unknown(name: str) -> str:
    if name in scenarios_and_prompts():
        return f"{name} is about prompts, which no tower sees; `vlbench run --scenario {name}` measures it"
    close = get_close_matches(name, scenarios_and_prompts(), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    shipped = ", ".join(scenario_names())
    own = "the path of your own .toml file, or of recorded calls (.jsonl)"
    return f"there is no scenario {name!r}; {hint}give one of {shipped}, or {own}"


def _lay_over(table: Table, cpu: Table) -> Table:
    """What is fed in on a CPU: the file's own fields unless [cpu] has them; items take the place of a mix."""
    feed = {"item", "mix"}
    replaced = feed if feed & cpu.keys() else set()
    kept = {key: value for key, value in table.items() if key not in {"title", "stands_for"} | replaced}
    return kept | cpu


def _unroll(path: Path, table: Table, schema: type[FileTable], prefix: str) -> list[tuple[str, FileTable]]:
    try:
        return [(label, schema.model_validate(entry)) for label, entry in unroll(table)]
    except ValidationError as error:
        raise UsageError(f"{path}: {prefix}{complaint(error, schema)}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {prefix}{error}") from None


def _point(path: Path, label: str, feed: ScenarioFile | CpuTable, why: str | None) -> ScenarioPoint:
    fields: dict[str, Any] = {name: getattr(feed, name) for name in ("source", "limit", "item", "mix")}
    if feed.mix is not None:
        distribution = (path.parent / feed.mix.distribution).resolve()
        fields["mix"] = feed.mix.model_copy(update={"distribution": str(distribution)})
    return ScenarioPoint(scenario=path.stem, label=label, why_scaled=why, **fields)
