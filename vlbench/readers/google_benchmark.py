"""google-benchmark's JSON (`--benchmark_out`, `--benchmark_format=json`): one file is one run, each benchmark a metric.

Real times are read, in seconds. Repetitions follow one another in one process, so that they are samples of one run;
of a file with aggregates alone, the median is read. https://github.com/google/benchmark/blob/main/docs/user_guide.md
"""

from collections import Counter
from statistics import median
from typing import Annotated, Any

from pydantic import BaseModel, FailFast, NonNegativeInt

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, Seconds, failures, objects_with, timed, unread_keys, validated
from vlbench.record.directions import words_of
from vlbench.record.runs import Run, collect

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
KNOWN = words_of(
    "name family_index per_family_instance_index run_name run_type repetitions repetition_index threads iterations "
    "real_time cpu_time time_unit aggregate_name aggregate_unit error_occurred error_message label bytes_per_second "
    "items_per_second cpu_coefficient real_coefficient big_o rms skipped skip_message"
)
FITTED = words_of("BigO RMS")
"""Aggregates over the sizes of a benchmark, which are no time of one."""
SHORTEST = 1e-3
"""Seconds; a single iteration that is shorter was not timed well."""
OF_MACHINE = words_of("num_cpus library_build_type")
OF_FILE = OF_MACHINE | words_of(
    "date host_name executable mhz_per_cpu cpu_scaling_enabled aslr_enabled caches load_avg library_version "
    "json_schema_version"
)


class _Benchmark(BaseModel):
    name: str
    run_name: str = ""
    run_type: str = "iteration"
    aggregate_name: str = ""
    real_time: Seconds | None = None
    time_unit: str = ""
    repetitions: NonNegativeInt | None = None
    repetition_index: NonNegativeInt | None = None
    iterations: NonNegativeInt | None = None
    error_occurred: bool = False
    skipped: bool = False


class _File(BaseModel):
    benchmarks: Annotated[list[_Benchmark], FailFast()]
    context: dict[str, Any]


def _read(document: Document) -> list[Run]:
    whole, source = document.objects[0], document.source
    file = validated(_File, whole, source)
    _check_repetitions(source, file.benchmarks)
    times: dict[str, list[float]] = {}
    aggregated: dict[str, float] = {}
    unread: list[str] = []
    for each in file.benchmarks:
        if each.real_time is None or each.error_occurred or each.skipped:
            continue
        if each.time_unit not in SECONDS:
            unit = f"is {each.time_unit!r:.20}" if each.time_unit else "is not told"
            raise UsageError(f"{source}: time_unit of {each.name!r:.60} {unit}; write ns, us, ms or s")
        seconds, name = each.real_time * SECONDS[each.time_unit], each.run_name or each.name
        if each.run_type == "iteration":
            times.setdefault(name, []).append(seconds)
            unread += [f"{name}, of one iteration of {seconds:g} s"] * (each.iterations == 1 and seconds < SHORTEST)
        elif each.aggregate_name == "median":
            aggregated[name] = seconds
    told = {name: median(samples) for name, samples in times.items()} | aggregated
    metrics = timed(source, ((name, middle, tuple(times.get(name, ()))) for name, middle in told.items()))
    whose = {each.run_name or each.name for each in file.benchmarks if each.aggregate_name not in FITTED}
    ended = {each.run_name or each.name for each in file.benchmarks if each.error_occurred or each.skipped}
    unread += [f"{name}, of which no median is told" for name in sorted(whose - ended - told.keys())]
    unread += [name for each in whole["benchmarks"] for name in unread_keys(each, KNOWN)]
    unread += [*unread_keys(whole, words_of("context benchmarks")), *unread_keys(file.context, OF_FILE)]
    unread += [f"{each.name}, which was skipped" for each in file.benchmarks if each.skipped]
    asked = {key: str(file.context[key]) for key in sorted(OF_MACHINE & file.context.keys())}
    fault = failures(sum(each.error_occurred for each in file.benchmarks), "benchmarks")
    return [collect(source, metrics, asked, fault, unread)]


def _check_repetitions(source: str, benchmarks: list[_Benchmark]) -> None:
    """Raises UsageError where a repetition is not there, or has no time: the others have another median."""
    ended = {each.run_name or each.name for each in benchmarks if each.error_occurred or each.skipped}
    measured = [each for each in benchmarks if each.run_type == "iteration"]
    there = Counter(each.run_name or each.name for each in measured)
    for each in measured:
        name = each.run_name or each.name
        whole = each.real_time is not None and each.repetitions in (None, there[name])
        if not whole and name not in ended:
            raise UsageError(f"{source}: {name!r:.60} lacks a repetition or its real_time; is the file whole?")
    indices = Counter((each.run_name or each.name, each.repetition_index) for each in measured)
    for (name, index), times in indices.items():
        if times > 1 and index is not None:
            raise UsageError(f"{source}: {name!r:.60} has repetition_index {index} {times} times; is one a copy?")


READS = "google-benchmark's --benchmark_out, as JSON"
READER = Reader("google-benchmark", READS, objects_with(("benchmarks", "context"), several=False), _read)
