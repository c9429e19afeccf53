"""Published results as sheets: which there are, what one claims, and how each claim fares here."""

from collections.abc import Iterator, Mapping, Sequence

from vlbench.export.sheet import Part, Sheet, Table, Value, Words, on_the_left
from vlbench.judging.claims import CaseReport, Finding, Found
from vlbench.record.counts import Tally
from vlbench.workload.cases import Case, Claim

STYLES = {Finding.RE_ENACTED: "green", Finding.CONTRADICTS: "red"}
COUNTED = {
    "device ops": "device_operations",
    "attn calls": "attention_calls",
    "host syncs": "host_syncs",
    "uploads": "uploads",
    "implicit": "implicit_uploads",
}
AT = {"": "", "cpu": " on a CPU", "cuda": " on a GPU"}
LIMITS = (
    "A verdict is about one claim, never about the case. Published figures are their authors'. What is counted is "
    "exact, and says nothing of milliseconds on a GPU."
)


def enacted_sheet(report: CaseReport) -> Sheet:
    """`vlbench case run`."""
    rows = [[report.case, *(str(getattr(each, name)) for name in Found.model_fields)] for each in report.found]
    lines = [line for each in report.found for line in _told(each)]
    parts: list[Part] = [Words(report.title, "bold"), Words(report.about)]
    parts += [Words(f"Source: {report.source}"), Words()]
    parts.append(Table("claims", ["case", *Found.model_fields], rows, lines=lines))
    for name, sets in report.counted.items():
        how = f"{report.models[name]} in bfloat16, counted as {report.profile}, second forward"
        parts += [Words(), Words(f"{name}: {how}", "bold")]
        parts.append(_counted(name, sets))
    parts += [Words(), Words(LIMITS, "dim")]
    own = {"json": lambda: report.model_dump_json(indent=1)}
    return Sheet(f"vlbench case run {report.case}", parts, exit_code=int(report.exit_code), own=own)


def _told(each: Found) -> Iterator[Words]:
    yield Words(f"{each.finding}: {each.says}", STYLES.get(each.finding, "bold"), styled=each.finding)
    if each.published:
        source = f" ({each.source})" if each.source else ""
        yield Words(f"published: {each.published}{source}", "dim", indent=2)
    yield Words(f"here: {each.ours}", indent=2)
    if each.why:
        yield Words(f"why: {each.why}", indent=2)


def _counted(name: str, sets: Mapping[str, Tally | None]) -> Table:
    rows: list[list[Value]] = []
    for of, tally in sets.items():
        rows.append([of, *(getattr(tally, field) if tally else None for field in COUNTED.values())])
    return Table("counted", ["set", *COUNTED], rows, facts={"at": name})


def case_sheet(name: str, case: Case) -> Sheet:
    """`vlbench case show`."""
    parts: list[Part] = [Words(case.title, "bold"), Words(case.about), Words(f"Source: {case.source}"), Words()]
    parts.append(_table("claims", ("claim", "decided by"), [(each.says, decided_by(each)) for each in case.claim]))
    if case.sets:
        parts += [Words(), _table("sets", ("set", "flags"), [(of, ", ".join(each)) for of, each in case.sets.items()])]
    measured = [(each.name, f"counted: {each.about}") for each in case.count]
    measured += [(each.name, f"timed{AT[each.device]}: {each.why}") for each in case.time]
    if measured:
        parts += [Words(), _table("measured", ("what", "how"), measured)]
    return Sheet(f"vlbench case show {name}", parts)


def decided_by(claim: Claim) -> str:
    """What decides a claim, in words."""
    if by := claim.counted:
        what = by.operation or by.counter.replace("_", " ")
        return f"counts at {by.at}: {what} of {by.of} against {by.against}"
    return f"times of {claim.timed.at}: {claim.timed.of}" if claim.timed else f"needs {claim.needs}"


def cases_sheet(cases: Mapping[str, Case]) -> Sheet:
    """`vlbench case list`."""
    rows = [(name, case.title, str(len(case.claim))) for name, case in cases.items()]
    return Sheet("vlbench case list", [_table("cases", ("case", "what", "claims"), rows)])


def _table(name: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    return Table(name, on_the_left(headings), rows)
