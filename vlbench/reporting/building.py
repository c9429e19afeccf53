"""Records become a report: answers and warnings of the runs, a chapter for each thing, what is lacking, machines."""

from collections.abc import Iterator, Sequence
from typing import Any

from vlbench.predicting.checked import CheckedPrediction
from vlbench.record.schema import Results
from vlbench.reporting.chosen import answer_of, limits_of, sweeps_of, warnings_of
from vlbench.reporting.costs import measured_section
from vlbench.reporting.documents import chapter_of, self_test_chapter
from vlbench.reporting.lacking import environment_chapter, lacking_table, lacks_of
from vlbench.reporting.page import Answer, Chapter, Machine, Report, Section
from vlbench.reporting.timed import group_chapter

Loaded = tuple[str, Any]
"""The name of a file, and the record in it."""


def build(loaded: Sequence[Loaded]) -> Report:
    """The report of these records. Each ratio in it is of one file, and so of one machine."""
    checked = [(source, record) for source, record in loaded if isinstance(record, CheckedPrediction)]
    loaded = [*loaded, *((f"{source}, measured", record.measured) for source, record in checked if record.measured)]
    runs = [(source, record) for source, record in loaded if isinstance(record, Results)]
    answers: list[Answer] = []
    chapters: list[Chapter] = []
    warnings: list[str] = []
    for source, record in loaded:
        if not isinstance(record, Results):
            chapters.append(chapter_of(record, source))
            continue
        prefix = f"{source}: " if len(loaded) > 1 else ""
        warnings += [f"{prefix}{told}" for told in warnings_of(record)]
        if is_self_test(record):
            chapters.append(self_test_chapter(record, source))
        else:
            answers += [answer_of(record, sweep) for sweep in sweeps_of(record)]
            chapters += _of_run(record, source)
    warnings += limits_of([group for _, run in runs if not is_self_test(run) for group in run.groups])
    machines = [Machine(source, run.fingerprint.line, run.fingerprint.machine_class) for source, run in runs]
    if (kinds := len({machine.kind for machine in machines})) > 1:
        warnings.insert(
            0,
            f"these files are from {kinds} classes of machines: milliseconds of one do not compare with "
            "those of another, and every ratio here is of one file alone",
        )
    lacks = [(source, what, why) for source, record in loaded for what, why in lacks_of(record, source)]
    if lacks:
        section = Section("What, and why", [lacking_table(lacks)])
        chapters.append(Chapter("What was not measured", "", [section]))
    chapters += [environment_chapter(run, source) for source, run in runs]
    names = ", ".join(source for source, _ in loaded)
    return Report(f"vlbench report: {names}", answers, warnings, chapters, machines)


def is_self_test(results: Results) -> bool:
    """Does it hold programs that were slowed down on purpose?"""
    return any(row.slow_down for group in results.groups for row in group.rows)


def _of_run(results: Results, source: str) -> Iterator[Chapter]:
    for sweep in sweeps_of(results):
        if sections := list(measured_section(sweep)):
            yield Chapter(f"All points of {sweep.where}", source, sections)
        for group in sweep.groups:
            yield group_chapter(group, source)
