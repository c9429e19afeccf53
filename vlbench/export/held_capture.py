"""A capture held against predictions, as a sheet: sums by kind, misses by name, and the host's acts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from vlbench.export.predicted import band_cell
from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Value, Words, broken, figure, table_of
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.words import few, in_three_digits, number_of
from vlbench.predicting.captured import HeldCapture, HeldHost, HeldKernels
from vlbench.predicting.predicted import Band

MEANS = (
    "Captured times are measured; predicted ones are bands of kernel tables and of a host model that was made from "
    "other captures. A kernel is a hit where its median run lies in its band. An act is one where the predicted median "
    "is at most 1.25 times the captured one, or the other way round, and the predicted band, of the middle 80 % of "
    "other captures, holds 65 to 95 % of what was captured."
)
STYLES = {"hit": "green", "miss": "red"}


def held_capture_sheet(found: HeldCapture, limit: int = 0) -> Sheet:
    """What was captured beside what is predicted; of longer tables `limit` rows."""
    code = ExitCode.OK if found.complete else ExitCode.MISSING
    own = {"json": lambda: found.model_dump_json(indent=1)}
    return Sheet("vlbench predict --capture", list(held_capture_parts(found, limit)), exit_code=int(code), own=own)


def held_capture_parts(found: HeldCapture, limit: int = 0) -> Iterator[Part]:
    """The tables, and what could not be held."""
    facts: Mapping[str, Value] = {"capture": found.capture, "gpu": found.gpu}
    where = f", kernels as predicted for {found.gpu}" if found.gpu else ""
    yield Words(f"{found.capture}: {', '.join(found.gpus) or 'a GPU without a name'}{where}", "bold")
    if found.why_no_gpu:
        yield Words(f"No kernel is predicted: {found.why_no_gpu}.", "yellow")
    told = [each for each in found.kernels if each.predicted]
    if told:
        kinds = list(dict.fromkeys(each.by for each in told))
        sums: Columns[list[HeldKernels]] = {
            "kernels": lambda some: some[0].by,
            "runs": lambda some: sum(each.runs for each in some),
            Column("captured ms", "captured"): lambda some: figure(captured(some), _ms),
            Column("predicted ms", "predicted"): lambda some: band_cell("predicted", predicted(some), 1e3, 3),
            Column("shapes in band", "in_band"): _in_band,
        }
        by_kind = [[each for each in told if each.by == kind] for kind in kinds]
        yield table_of("held_busy", by_kind, sums, facts=facts, title="operations whose shapes are known")
    if missed := [each for each in told if each.verdict == "miss"]:
        misses: Columns[HeldKernels] = {
            Column("missed", "operation", most=24): lambda each: Cell(broken(each.operation), each.operation),
            Column("shapes", left=True, most=24): lambda each: each.shapes,
            "runs": lambda each: each.runs,
            Column("captured ms", "captured"): lambda each: figure(each.captured, _ms),
            Column("predicted ms", "predicted"): lambda each: band_cell("predicted", each.predicted, 1e3, 3),
        }
        yield from (Words(), table_of("held_misses", missed, misses, facts=facts, limit=limit, gap=1))
    yield from _without(found)
    if found.hosts:
        hosts: Columns[HeldHost] = {
            "host": lambda each: each.act,
            Column("samples", "count"): lambda each: each.count,
            Column("predicted\nus", "predicted"): lambda each: figure(each.slow, "{:.1f}"),
            Column("captured\nus", "captured"): lambda each: figure(each.median, "{:.1f}"),
            Column("band us", "band"): lambda each: band_cell("band", host_band(each), 1),
            Column("inside"): lambda each: figure(each.inside, "{:.0%}"),
            Column("", "verdict"): lambda each: Cell(each.verdict, each.verdict, STYLES.get(each.verdict, "")),
        }
        title = "the host: medians, the predicted band, and how much of what was captured lies in it"
        yield from (Words(), table_of("held_hosts", found.hosts, hosts, facts=facts, title=title))
        yield Words(hosts_in_words(found.hosts))
    yield from (Words(note, "yellow") for note in found.notes)
    yield Words(MEANS, "dim")


def captured(some: list[HeldKernels]) -> float:
    """Seconds of all runs, each as long as the median of its shapes."""
    return sum(each.captured * each.runs for each in some)


def predicted(some: list[HeldKernels]) -> Band:
    """The same as it is predicted; what is wrong with a table is wrong of each call."""
    bands = [(each.predicted, each.runs) for each in some if each.predicted]
    return Band(low=sum(band.low * runs for band, runs in bands), high=sum(band.high * runs for band, runs in bands))


def host_band(each: HeldHost) -> Band | None:
    """Of an act, the middle 80 % of other captures; None where a file of before does not say."""
    return None if each.high is None else Band(low=each.fast, high=each.high)


def hosts_in_words(found: Sequence[HeldHost]) -> str:
    """How many acts are hits of those that were judged, and how wide the bands are that these had to fit."""
    judged = [each for each in found if each.verdict != "not predicted"]
    hits = sum(each.verdict == "hit" for each in judged)
    widths = [band.high / band.low for each in found if (band := host_band(each)) and band.low]
    wide = f"; bands end at {median(widths):.1f} times where they begin, in the median" if widths else ""
    told = (
        [f"{hits} of {len(judged)} acts of the host {'is a hit' if hits == 1 else 'are hits'}{wide}."] if judged else []
    )
    if rest := len(found) - len(judged):
        acts = "1 act of the host was" if rest == 1 else f"{rest} acts of the host were"
        told.append(f"{acts} not judged: the file was written before what that takes was kept.")
    return " ".join(told)


def _without(found: HeldCapture) -> Iterator[Words]:
    """What of the kernels has no prediction, and why."""
    untold = [each for each in found.kernels if not each.predicted]
    reasons: Counter[str] = Counter()
    for each in untold:
        reasons[each.why_not] += each.runs
    for why, runs in reasons.most_common():
        names = list(dict.fromkeys(each.operation for each in untold if each.why_not == why))
        yield Words(f"not predicted, {why}: {number_of(runs, 'run')} of {few(names, 4)}.", "yellow")
    rest = 0.0 if found.named is None else found.busy - found.named
    if found.gpu and rest > 0.005 * found.busy:
        told = f"{rest / found.busy:.0%} of the {_ms(found.busy)} ms of all kernels, fills and copies"
        yield Words(f"{told} belongs to no operator that is named.")


def _ms(seconds: float) -> str:
    return in_three_digits(seconds * 1e3)


def _in_band(some: list[HeldKernels]) -> Cell:
    hits = sum(each.verdict == "hit" for each in some)
    return Cell(f"{hits} of {len(some)}", hits / len(some))
