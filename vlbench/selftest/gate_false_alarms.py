"""How often `vlbench gate` fails where nothing changed: `python -m vlbench.selftest.gate_false_alarms`."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy
from statistics import median
from typing import Annotated

import typer

from vlbench.judging.identical import Evidence, IdenticalRun, tally
from vlbench.record.baseline_files import find_baselines
from vlbench.record.fingerprint import take_fingerprint
from vlbench.selftest.repeat import check_folder_of, judged_by, run_script

GATE = [sys.executable, "-m", "vlbench", "gate", "--times", "require", "--json"]


def measure(
    out: Annotated[Path, typer.Option(help="Where to write what each run said; results/gate/false-alarms.json here.")],
    baseline: Annotated[list[Path] | None, typer.Option(help="Repeatable. [every one in results/baselines]")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Of the gate, one after the other.")] = 40,
) -> None:
    """Gate code that did not change, again and again, through the real command. Measure alone."""
    check_folder_of(out)
    paths = baseline or find_baselines()
    fingerprint, found = take_fingerprint("cpu"), list[IdenticalRun]()
    with tempfile.TemporaryDirectory() as folder:  # where a false alarm writes its proposals
        options = [part for path in paths for part in ("--baseline", copy(path, folder))]
        for number in range(runs):
            found.append(IdenticalRun.of(judged_by([*GATE, *options])))
            said = ", ".join(f"{count} {verdict}" for verdict, count in Counter(found[-1].verdicts).items())
            print(f"run {number + 1}: {said}, after {found[-1].seconds:.1f} s", flush=True)
            written = Evidence(
                created=datetime.now(UTC),
                fingerprint=fingerprint,
                command=f"vlbench gate --times require --baseline {' --baseline '.join(map(str, paths))}",
                runs=tuple(found),
            )
            out.write_text(written.model_dump_json(indent=1) + "\n")  # each time: it may be interrupted
    print(f"{tally(found, 'gate runs')}; the median took {median(run.seconds for run in found):.1f} s")


if __name__ == "__main__":
    run_script(measure)
