"""What is judged, changed by who is judged: the tower has regressed, and the baseline has been seen to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from tests.traps.traps import BASELINE, Copy, trap
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import load_baseline, write_baseline

Done = CompletedProcess[str]
BASE = "vlbench gate --base main"
PROPOSAL = BASELINE.with_suffix(".proposed.json")
ACCEPT = f'vlbench baseline accept {BASELINE} --reason "It is meant."'
RISEN = "host syncs rose from 0 to 6"
SMALL = BASELINE.with_name("small.json")
MANIFEST = BASELINE.with_name("baselines.manifest")


def gated(copy: Copy, command: str = "vlbench gate") -> Done:
    """The regression, committed with what was done before, and the gate."""
    copy.regress()
    copy.commit()
    return copy.run(command)


def saved(tower: str) -> Callable[[Copy], Path]:
    """A baseline of one grid alone."""

    def save(copy: Copy) -> Path:
        copy.write("other.py", (copy.folder / "tower.py").read_text())
        copy.done(f'vlbench baseline save small.json {tower} --grid 1x4x4 --reason "A second one."')
        return copy.folder / "small.json"

    return save


def with_another(copy: Copy, tower: str = "--tower tower:tower", file: Path = SMALL) -> None:
    """A second baseline, so that the folder is not empty without the first."""
    copy.folder.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
    copy.folder.joinpath(file).write_bytes(copy.once(tower.rpartition(" ")[2], saved(tower)))
    copy.commit()


def seal_again(copy: Copy, **fields: object) -> None:
    """Other fields, under a seal that fits them: as somebody would who reads how seals are made."""
    path = copy.folder / BASELINE
    write_baseline(load_baseline(path).model_copy(update=fields).sealed(), path)


def stored(copy: Copy) -> Baseline:
    return load_baseline(copy.folder / BASELINE)


def regressed(copy: Copy) -> Path:
    copy.regress()
    assert copy.run("vlbench gate").returncode == 3
    return copy.folder / PROPOSAL


def proposed(copy: Copy) -> Path:
    """The regression and what the gate proposes for it."""
    found = copy.once("proposed", regressed)
    copy.regress()
    copy.folder.joinpath(PROPOSAL).write_bytes(found)
    return copy.folder / PROPOSAL


@trap("baseline", "Renamed to `*.proposed.json`", 6, BASELINE.name)
def _(copy: Copy) -> Done:
    with_another(copy)
    (copy.folder / BASELINE).rename(copy.folder / PROPOSAL)
    return gated(copy)


@trap("baseline", "Moved down a folder", 6, BASELINE.name)
def _(copy: Copy) -> Done:
    with_another(copy)
    goal = copy.folder / BASELINE.parent / "old"
    goal.mkdir()
    (copy.folder / BASELINE).rename(goal / BASELINE.name)
    return gated(copy)


@trap("baseline", "Deleted", 6, BASELINE.name)
def _(copy: Copy) -> Done:
    with_another(copy)
    (copy.folder / BASELINE).unlink()
    return gated(copy)


@trap("baseline", "Deleted, the only one", 6, "baseline", quick=True)
def _(copy: Copy) -> Done:
    (copy.folder / BASELINE).unlink()
    return gated(copy)


@trap("baseline", "The whole folder deleted, and all that names it", 6, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    shutil.rmtree(copy.folder / "results")
    shutil.rmtree(copy.folder / "tests")
    return gated(copy, BASE)


@trap("baseline", "The only one taken out with a reason, and its tests with it", 3, "max_syncs=0", command=BASE)
def _(copy: Copy) -> Done:
    copy.done(f'vlbench baseline remove {BASELINE} --reason "Gone."')
    copy.run("git rm --quiet -r tests")
    return gated(copy, BASE)


@trap("baseline", "Deleted, and struck from the manifest by hand", 6, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    with_another(copy)
    (copy.folder / BASELINE).unlink()
    copy.edit_json(MANIFEST, lambda content: content["baselines"].pop(BASELINE.name))
    return gated(copy, BASE)


@trap("baseline", "A link to the baseline of another tower", 6, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    with_another(copy)
    (copy.folder / BASELINE).unlink()
    (copy.folder / BASELINE).symlink_to(SMALL.name)
    return gated(copy, BASE)


@trap("baseline", "A tag with the name of the base, at the change", 2, "main", command=BASE)
def _(copy: Copy) -> Done:
    proposed(copy)
    copy.done(ACCEPT)
    copy.commit()
    copy.done("git tag main")
    return copy.run(BASE)


def returning_zeros(copy: Copy) -> Done:
    copy.at_mark("FORWARD", "return pixels.new_zeros(len(pixels) // 4, WIDTH)")
    copy.commit()
    return copy.run(BASE)


@trap("baseline", "Its result made unchecked, under a seal that fits", 5, "inaccurate", command=BASE)
def _(copy: Copy) -> Done:
    seal_again(copy, unchecked={"tower:tower": "It is fast."})
    return returning_zeros(copy)


@trap("baseline", "Its stored outputs removed, under a seal that fits", 5, "inaccurate", command=BASE)
def _(copy: Copy) -> Done:
    seal_again(copy, outputs=())
    return returning_zeros(copy)


@trap("baseline", "A cell removed", 6, "edited by hand")
def _(copy: Copy) -> Done:
    with_another(copy, "--tower tower:tower --tower tower:again")
    copy.edit_json(SMALL, lambda content: content["counted"].pop())
    return gated(copy)


@trap("baseline", "A cell removed, and another put in its place under a seal that fits", 6, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    with_another(copy)
    seal_again(copy, counted=load_baseline(copy.folder / SMALL).counted)
    return gated(copy, BASE)


def without_syncs(copy: Copy) -> None:
    (cell,) = stored(copy).counted
    kept = {name: count for name, count in cell.warm.counters.items() if name not in ("host_syncs", "read_backs")}
    seal_again(copy, counted=(cell.model_copy(update={"warm": cell.warm.model_copy(update={"counters": kept})}),))


@trap("baseline", "A counter removed, under a seal that fits", 3, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    without_syncs(copy)
    return gated(copy, BASE)


@trap("baseline", "A counter removed, under a seal that fits, for the change after this one", 6, "lists", command=BASE)
def _(copy: Copy) -> Done:
    without_syncs(copy)
    copy.commit()
    return copy.run(BASE)


@trap("baseline", "A band widened, under a seal that fits", 6, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    (cell,) = stored(copy).counted
    wide = dict.fromkeys(cell.warm.counters, 0.99)
    seal_again(copy, counted=(cell.model_copy(update={"bands": wide}),))
    return gated(copy, BASE)


@trap("baseline", "A figure edited by hand", 6, "edited by hand", quick=True)
def _(copy: Copy) -> Done:
    copy.edit_json(BASELINE, lambda content: content["counted"][0]["warm"]["counters"].update(host_syncs=6))
    return gated(copy)


@trap("baseline", "A proposal copied over the baseline, which nobody has accepted", 6, "accepted")
def _(copy: Copy) -> Done:
    proposed(copy).rename(copy.folder / BASELINE)
    return copy.run("vlbench gate")


@trap("baseline", "A proposal under a seal that fits, which nobody has accepted", 3, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    proposed(copy).rename(copy.folder / BASELINE)
    seal_again(copy)
    copy.commit()
    return copy.run(BASE)


@trap("baseline", "Accepted without a reason", 2, "--reason", command='vlbench baseline accept FILE --reason " "')
def _(copy: Copy) -> Done:
    proposed(copy)
    return copy.run(f'vlbench baseline accept {BASELINE} --reason " "')


@trap("baseline", "The whole history rewritten, as if the new figures were the first", 3, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    proposed(copy).unlink()
    copy.done(f'vlbench baseline save {BASELINE} --force --tower tower:tower --grid 1x4x4 --grid 4x4x6 --reason "New."')
    copy.commit()
    return copy.run(BASE)


@trap("baseline", "Accepted in one commit, and another wait added in the next", 3, "host syncs rose", command=BASE)
def _(copy: Copy) -> Done:
    proposed(copy)
    copy.done(ACCEPT)
    copy.at_mark("END", "tokens.sum().item()")
    copy.commit()
    return copy.run(BASE)


@trap("baseline", "Accepted, where a pull request may not accept", 3, RISEN, command=f"{BASE} --no-accept")
def _(copy: Copy) -> Done:
    proposed(copy)
    copy.done(ACCEPT)
    copy.commit()
    return copy.run(f"{BASE} --no-accept")


@trap("baseline", "`[tool.vlbench]` points to another folder", 3, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    with_another(copy, file=Path("elsewhere/small.json"))
    copy.write("pyproject.toml", '[tool.vlbench]\nbaselines = "elsewhere"\n')
    return gated(copy, BASE)


@trap("baseline", "The baseline of another tower copied over it", 6, RISEN, command=BASE)
def _(copy: Copy) -> Done:
    copy.write("other.py", (copy.folder / "tower.py").read_text())
    with_another(copy, "--tower other:tower", BASELINE)
    return gated(copy, BASE)


@trap("baseline", "A base that is no revision", 2, "nowhere", command="vlbench gate --base nowhere")
def _(copy: Copy) -> Done:
    return copy.run("vlbench gate --base nowhere")


@trap("baseline", "A base without a merge base", 6, "merge base", command=BASE)
def _(copy: Copy) -> Done:
    copy.done("git checkout --quiet --orphan alone")
    copy.commit()
    return copy.run(BASE)


@trap("baseline", "The first baseline of a repository, without `--first`", 6, "--first", command=BASE)
def _(copy: Copy) -> Done:
    copy.done("git checkout --quiet main")
    copy.done("git rm --quiet -r results tests")
    copy.commit()
    copy.done("git checkout --quiet -b first")
    with_another(copy)
    return copy.run(BASE)


@trap("baseline", "`PYTHONOPTIMIZE=2` in the environment", 3, RISEN)
def _(copy: Copy) -> Done:
    copy.regress()
    kept = {"PYTHONDONTWRITEBYTECODE": None, "PYTHONPYCACHEPREFIX": str(copy.folder.parent / "compiled")}
    return copy.run("vlbench gate", {"PYTHONOPTIMIZE": "2", **kept})  # its processes compile all of torch, but once


@trap("baseline", "A `typing_extensions.py` and a `sitecustomize.py` in the folder", 3, RISEN)
def _(copy: Copy) -> Done:
    for name in ("typing_extensions", "sitecustomize"):
        copy.write(f"{name}.py", "import os\n\nos._exit(0)\n")
    return gated(copy)


@trap(
    "baseline",
    "`--allow-inconclusive`, which lets nothing else pass",
    3,
    RISEN,
    command="vlbench gate --allow-inconclusive",
)
def _(copy: Copy) -> Done:
    return gated(copy, "vlbench gate --allow-inconclusive")


@trap("baseline", "A baseline that holds nothing", 6, "no cells", quick=True)
def _(copy: Copy) -> Done:
    seal_again(copy, counted=())
    return gated(copy)


@trap(
    "baseline",
    "`--report-only`",
    0,
    "report only",
    command="vlbench gate --report-only",
    cannot="it is what the option is for; the report says so in its first line",
)
def _(copy: Copy) -> Done:
    return gated(copy, "vlbench gate --report-only")


@trap(
    "baseline",
    "A regression that is accepted with a reason",
    0,
    "ACCEPTED",
    command=BASE,
    cannot="whether a reason is good is for a person to say; it stands first in the report, and `--no-accept` fails it",
)
def _(copy: Copy) -> Done:
    proposed(copy)
    copy.done(ACCEPT)
    copy.replace("tests/test_limits.py", "max_syncs=0", 'max_syncs=6, accepted="Ada: it is meant"')
    copy.commit()
    return copy.run(BASE)
