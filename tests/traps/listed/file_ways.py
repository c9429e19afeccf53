"""Files that say too much, and places where nothing may be written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.traps.traps import BASELINE, Copy, trap
from tests.trial.plans import ONE_PICTURE
from vlbench.record.files import read_results
from vlbench.record.schema import Trial

Done = CompletedProcess[str]
DIFF = "vlbench diff a.json b.json"
RUN = (
    "vlbench run --scenario small.toml --tower tower:tower --tower tower:again --budget 2 --no-card --device cpu --out"
)
REFUSED = 2


def measured(copy: Copy) -> Path:
    copy.write("small.toml", ONE_PICTURE)
    copy.done(f"{RUN} a.json")
    return copy.folder / "a.json"


def with_results(copy: Copy) -> Any:
    """Two files of one run, of which b.json is to be edited."""
    found = copy.once("results", measured)
    for name in ("a.json", "b.json"):
        copy.folder.joinpath(name).write_bytes(found)
    return json.loads(found)


def edited(title: str, exit: int, says: str, edit: Callable[[Any], object], **fields: Any) -> None:
    """Lists an edit of the one group of a results file."""

    @trap("file", title, exit, says, command=DIFF, **fields)
    def _(copy: Copy) -> Done:
        with_results(copy)
        copy.edit_json("b.json", lambda content: edit(content["groups"][0]))
        return copy.run(DIFF)


def variant(group: Any) -> Any:
    """The row that is judged, in the first trial."""
    return group["trials"][0]["variants"][1]


def five_times(group: Any) -> None:
    group["trials"] = [{**group["trials"][0], "number": number} for number in range(5)]


def faster(group: Any) -> None:
    seconds = variant(group)["timings"]["warm"]["seconds"]
    seconds[:] = [each / 2 for each in seconds]


edited("One trial copied five times", REFUSED, "", five_times)
edited("Times halved by hand", REFUSED, "", faster)
edited(
    "`passed: true` with an error of 0.9", REFUSED, "", lambda group: variant(group)["accuracy"].update(fp32_error=0.9)
)
edited("A limit of 1e9", REFUSED, "", lambda group: variant(group)["accuracy"].update(fp32_error=0.9, fp32_limit=1e9))
edited("An error that is NaN", REFUSED, "", lambda group: variant(group)["accuracy"].update(fp32_error="NaN"))
edited("Negative counts", REFUSED, "", lambda group: variant(group)["counts"].update(aten_operations=-1))
edited("A time of NaN", REFUSED, "", lambda group: variant(group)["timings"]["warm"]["seconds"].__setitem__(0, "NaN"))
edited("True in the place of a number", REFUSED, "", lambda group: group["trials"][0].update(number=True))
edited(
    "Another picture under one name", REFUSED, "checksum", lambda group: group["trials"][0].update(grids=[[1, 2, 2]])
)
edited("Other flags under one name", REFUSED, "checksum", lambda group: group["rows"][1].update(flags=["host-grid"]))


def renewed(title: str, says: str, edit: Callable[[Trial], Trial], **fields: Any) -> None:
    """Lists a second trial that is made of the first, with all checksums computed anew."""

    @trap("file", title, REFUSED, says, command=DIFF, **fields)
    def _(copy: Copy) -> Done:
        with_results(copy)
        results = read_results(copy.folder / "b.json")
        first = results.groups[0].trials[0]
        trials = [edit(each).with_checksum().model_dump(mode="json") for each in (first, numbered(first))]
        content = results.model_dump(mode="json")
        content["groups"][0] |= {"trials": trials, "planned": None}
        kept = json.dumps({**content, "checksum": ""}, sort_keys=True)
        copy.write("b.json", json.dumps({**content, "checksum": sha256(kept.encode()).hexdigest()}))
        return copy.run(DIFF)


def numbered(first: Trial) -> Trial:
    """The trial as a second one, with an id of its own."""
    job, seed, *_ = first.id.split(":")
    return first.model_copy(update={"number": 9, "id": f"{job}:{seed}:9:0123456789abcdef"})


renewed("A trial copied under an id of its own", "one is a copy", lambda trial: trial)
renewed(
    "A trial of another run put beside it",
    "job of trial 9 is not that of",
    lambda trial: trial.model_copy(update={"id": f"another{trial.id}"}) if trial.number else trial,
)
renewed("The order of the readings left out", "in which order", lambda trial: trial.model_copy(update={"order": {}}))
renewed(
    "No word of what was fed in",
    "say by digests what it was fed",
    lambda trial: trial.model_copy(update={"fed_digest": ""}),
)


def as_of_old(content: Any) -> None:
    content.update(schema_version=2, checksum="")
    for each in content["groups"][0]["trials"]:
        each.update(id="", checksum="")


@trap("file", "The file of an older vlbench, which had no checksums", 6, "no checksum", command=DIFF)
def _(copy: Copy) -> Done:
    with_results(copy)
    copy.edit_json("b.json", as_of_old)
    return copy.run(DIFF)


@trap("file", "`complete: false`", REFUSED, "checksum", command=DIFF)
def _(copy: Copy) -> Done:
    with_results(copy)
    copy.edit_json("b.json", lambda content: content.update(complete=False))
    return copy.run(DIFF)


@trap("file", "A counter that one side does not have", 6, "host_syncs", command="vlbench diff BASELINE b.json")
def _(copy: Copy) -> Done:
    copy.write("b.json", (copy.folder / BASELINE).read_text())
    copy.edit_json("b.json", lambda content: content["counted"][0]["warm"]["counters"].pop("host_syncs"))
    return copy.run(f"vlbench diff {BASELINE} b.json")


# What other tools wrote.


@trap("file", "Requests that failed, beside better times", 5, "error", command="vlbench judge")
def _(copy: Copy) -> Done:
    run = {"command": "serve", "mean": 1.0, "median": 1.0, "times": [1.0, 1.0], "exit_codes": [0, 0]}
    copy.write("a.json", json.dumps({"results": [run]}))
    copy.write(
        "b.json",
        json.dumps({"results": [{**run, "mean": 0.5, "median": 0.5, "times": [0.5] * 2, "exit_codes": [0, 1]}]}),
    )
    return copy.run("vlbench judge --before a.json --after b.json")


@trap("file", "A metric of which nobody knows whether more is better", 2, "--higher-is-better", command="vlbench judge")
def _(copy: Copy) -> Done:
    for name, value in (("a.csv", 9), ("b.csv", 1)):
        copy.write(name, f"run,name,value\n1,zork,{value}\n2,zork,{value}\n3,zork,{value}\n")
    return copy.run("vlbench judge --before a.csv --after b.csv")


# Journals.


TWICE = f"{RUN} a.json --trials 2"
JOURNAL = "a.journal.jsonl"


def killed(copy: Copy) -> Path:
    """The journal of a run that was killed after its first trial."""
    copy.write("small.toml", ONE_PICTURE)
    journal = copy.folder / JOURNAL
    running, deadline = copy.begin(TWICE), time.monotonic() + 120
    while not (journal.exists() and journal.read_text().count("\n") > 1) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.kill()
    running.communicate()
    return journal


def resumed(title: str, exit: int, says: str, edit: Callable[[list[str]], list[str]], **fields: Any) -> None:
    """Lists an edit of a journal's lines: a head, and what the first trial found."""

    @trap("file", title, exit, says, command="vlbench run --resume", **fields)
    def _(copy: Copy) -> Done:
        lines = copy.once("journal", killed).decode().splitlines()
        copy.write("small.toml", ONE_PICTURE)
        copy.write(JOURNAL, "\n".join(edit(lines)) + "\n")
        return copy.run(f"{TWICE} --resume")


def with_other_times(line: str) -> str:
    entry = json.loads(line)
    for each in entry["trial"]["variants"]:
        each["timings"]["warm"]["seconds"] = [second / 2 for second in each["timings"]["warm"]["seconds"]]
    return json.dumps(entry)


resumed(
    "A journal whose line is there twice, under two numbers",
    REFUSED,
    "line 3",
    lambda lines: [*lines, lines[1].replace('"number": 0', '"number": 1')],
)
resumed(
    "A journal whose times were edited",
    REFUSED,
    "line 2",
    lambda lines: [lines[0], with_other_times(lines[1]), *lines[2:]],
)
resumed(
    "A journal of another run",
    REFUSED,
    "another run",
    lambda lines: [lines[0].replace('"plan": "', '"plan": "0'), *lines[1:]],
)


# Where something is written to.


def written(copy: Copy, out: str) -> Done:
    copy.write("small.toml", ONE_PICTURE)
    return copy.run(f"{RUN} {out}")


@trap("file", "A pipe that nobody reads as `--out`", REFUSED, "--out", command="vlbench run --out PIPE")
def _(copy: Copy) -> Done:
    os.mkfifo(copy.folder / "pipe")
    return written(copy, "pipe")


@trap("file", "Another program's file as `--out`", REFUSED, "notes.json", command="vlbench run --out FILE")
def _(copy: Copy) -> Done:
    notes = copy.write("notes.json", "not yours\n")
    done = written(copy, "notes.json")
    assert notes.read_text() == "not yours\n"
    return done


@trap("file", "Two runs at a time with one `--out`", REFUSED, "a.json", command="vlbench run --out a.json")
def _(copy: Copy) -> Done:
    copy.write("small.toml", ONE_PICTURE)
    first = copy.begin(f"{RUN} a.json --trials 2".replace("--budget 2", "--budget 8"))  # it is still at work then
    deadline = time.monotonic() + 120
    while not copy.folder.joinpath(JOURNAL).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    done = copy.run(f"{RUN} a.json")
    first.communicate()
    assert first.returncode == 0
    return done


@trap("file", "A link as `--out`, which stays one", 0, "Results in link.json", command="vlbench run --out LINK")
def _(copy: Copy) -> Done:
    link = copy.folder / "link.json"
    link.symlink_to("target.json")
    done = written(copy, "link.json")
    assert link.is_symlink()
    assert json.loads(copy.folder.joinpath("target.json").read_text())["complete"]
    return done


@trap(
    "file",
    "A folder that may not be written to as `--out`",
    REFUSED,
    "closed",
    command="vlbench run --out FILE",
    quick=True,
)
def _(copy: Copy) -> Done:
    return written(copy, "closed/a.json")
