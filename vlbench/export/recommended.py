"""A recommendation as a sheet: each flag with its verdict, by what, and the figure; then the set, and why."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Table, Words, checked, figure, table_of
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import number_of
from vlbench.record.grouping import gathered
from vlbench.record.recommendation import COUNTERS, Compared, FlagFound, Recommendation, Together, Worth

STYLES = {"helps": "green", "hurts": "red", "inaccurate": "bold red", "no effect": "dim", "not told": "dim"}
LEGENDS: dict[str, Callable[[FlagFound, bool], object]] = {
    "worth: time without the flag / time with it, all others as they are; votes: trials that say so by more than "
    "1 %.": lambda each, chosen: each.worth,
    "* is in the recommended set.": lambda each, chosen: chosen,
    "counted: what having it moves there.": lambda each, chosen: each.counted is not None,
    "predicted: time without the flag / time with it on a GPU that is not here, simulated and never measured; in "
    "brackets where the band holds 1 and tells nothing.": lambda each, chosen: each.predicted,
}
"""What a mark or a column means, and which rows have it: given each of them, and whether its flag was chosen."""


def recommended_sheet(found: Recommendation) -> Sheet:
    """All of it."""
    parts, judged = list(recommended_parts(found)), judged_set(found)
    return checked("vlbench recommend", parts, judged, json=lambda: found.model_dump_json(indent=1))


def recommended_parts(found: Recommendation) -> Iterator[Part]:
    """The flags, what two of them are worth together, what the set was held against, the set, and the file."""
    preset = found.preset
    yield Words(f"{preset.made_for()}, {preset.dtype}", "bold")
    yield Words(f"{preset.by}; the flags of {found.start}, each changed alone", "dim")
    if found.counted_as:
        yield Words(f"counted: {found.counted_as}", "dim")
    for table in flag_tables(found):
        yield from (Words(), table)
    if told := list(without_figures(found.flags)):
        yield from (Words(), *told)
    if legend := _legend(found):
        yield from (Words(), Words(legend, "dim"))
    if (elsewhere := {each.by for each in found.flags} & {"counts", "predicted"}) and found.counted_as:
        yield Words(
            f"By {' or '.join(sorted(elsewhere))}, a verdict is of a GPU, on {found.counted_as.split(',')[0]}, "
            "and not of this device; fewer or more: what the flag has it ask for.",
            "dim",
        )
    if found.together:
        yield from (Words(), _together(found))
    if found.compared:
        yield from (Words(), _compared(found))
    headline = f"Recommended: {number_of(len(preset.flags), 'flag')}"
    if not found.chosen:
        headline = f"Nothing was chosen: the preset {found.start}, unchanged"
    yield from (Words(), Words(headline, "bold"))
    yield Words(", ".join(preset.flags) or "none: the tower as it is")
    yield from map(Words, found.said)
    yield from (Words(f"Not predicted on {gpu}: {why}.", "yellow") for gpu, why in found.not_predicted.items())
    if not found.complete:
        about = f": about {found.needs:,.0f} s" if found.needs else ""
        yield Words(f"Not complete: there was no time for all of it; give more --budget{about}.", "yellow")
    if found.wrong:
        yield Words(f"FAIL: {found.wrong}", "red")
    if found.file:
        yield Words(f"Written to {found.file}; try it with `vlbench run --preset {found.file}`", "dim")


def flag_tables(found: Recommendation) -> Iterator[Table]:
    """A row for each flag that was measured or counted; what was measured and what was not in tables of their own."""
    chosen, facts, rows = {*found.preset.flags}, {"in_start": found.start}, _rows(found)
    flag: Columns[FlagFound] = {
        Column("flag", most=21): lambda each: Cell(f"{each.flag}{'*' * (each.flag in chosen)}", each.flag)
    }
    columns = flag | {
        Column("verdict", "effect", left=True): lambda each: Cell(
            each.effect, each.effect, STYLES.get(each.effect, "")
        ),
        Column("by", left=True): lambda each: each.by,
    }
    timed: Columns[FlagFound] = {
        Column("worth", "ratio"): lambda each: _worth(each.worth),
        Column("votes"): lambda each: _votes(each.worth, hurts=each.effect == "hurts"),
    }
    asked: Columns[FlagFound] = {
        Column(f"predicted\n{gpu}", f"predicted_{gpu}"): partial(_foretold, gpu)
        for gpu in dict.fromkeys(gpu for each in rows for gpu in each.predicted)
    }
    if any(each.counted is not None for each in rows):
        asked[Column("counted", left=True, most=24)] = lambda each: _moves(each.counted)
    if any(each.worth for each in rows):
        yield table_of("flags", rows, columns | timed, gap=1, facts=facts)
        columns = flag
    if rows and (asked or columns is not flag):
        title = "counted and predicted, never measured" if columns is flag else ""
        yield table_of("asked" if columns is flag else "flags", rows, columns | asked, gap=1, facts=facts, title=title)


def _rows(found: Recommendation) -> list[FlagFound]:
    return [each for each in found.flags if each.by != "-"]


def _legend(found: Recommendation) -> str:
    """Of the marks and columns that are there."""
    rows = [(each, each.flag in found.preset.flags) for each in _rows(found)]
    return " ".join(told for told, has in LEGENDS.items() if any(has(*row) for row in rows))


def judged_set(found: Recommendation) -> Judged:
    """What passes and fails: the set that is recommended, by whether it was confirmed."""
    cell, verdict, reason = f"the set for {found.preset.made_for()}", Verdict.SAME, found.said[0]
    if found.confirmed is False:
        verdict, reason = Verdict.INCONCLUSIVE, "fresh trials did not confirm it"
    rows = [JudgedRow(cell=cell, measure="time", verdict=verdict, reason=reason)]
    if found.wrong:
        rows = [JudgedRow(cell=cell, measure="accuracy", verdict=Verdict.INACCURATE, reason=found.wrong)]
    if not found.complete:
        rows.append(JudgedRow.missing("all flags", "time", "there was no time for all of it"))
    return Judged(command="recommend", before=found.start, after="the set", rows=tuple(rows), false_alarms=None)


def without_figures(flags: tuple[FlagFound, ...]) -> Iterator[Words]:
    """Flags that have no row, together where the reason is one."""
    told = [each for each in flags if each.by == "-" or (each.by == "counts" and each.why)]
    kinds = gathered(((each.effect if each.by == "-" else "by counts alone", each.why), each.flag) for each in told)
    for (effect, why), names in kinds.items():
        yield Words(f"{effect.capitalize()}: {', '.join(names)}: {why}.", "red" if effect == "inaccurate" else "dim")


def _together(found: Recommendation) -> Table:
    columns: Columns[Together] = {
        Column("flags", "pair", most=50): lambda each: " and ".join(each.flags),
        Column("worth", "ratio"): lambda each: _worth(each.worth),
        Column("apart"): lambda each: figure(each.apart, "{:.2f}"),
    }
    return table_of("together", found.together, columns, gap=2, title="two flags left out at once, and each alone")


def _compared(found: Recommendation) -> Table:
    columns: Columns[Compared] = {
        Column("variant", most=20): lambda each: each.name,
        Column("longer", "ratio"): lambda each: _worth(each.worth),
        Column("votes"): lambda each: _votes(each.worth, hurts=False),
        Column("verdict", left=True): lambda each: VERDICTS.get(each.verdict, each.verdict),
    }
    return table_of("compared", found.compared, columns, gap=2, title="beside the recommended set, by fresh trials")


VERDICTS = {"regressed": "the set is faster", "improved": "the set is slower", "same": "the same"}


def _worth(worth: Worth | None) -> Cell:
    if worth is None:
        return Cell("-")
    values = {"ratio": worth.ratio, "low": worth.low, "high": worth.high}
    return Cell(f"{worth.ratio:.2f} [{worth.low:.2f}, {worth.high:.2f}]", values)


def _votes(worth: Worth | None, *, hurts: bool) -> Cell:
    if worth is None:
        return Cell("-")
    values = {"helping": worth.helping, "hurting": worth.hurting, "trials": worth.trials}
    return Cell(f"{worth.hurting if hurts else worth.helping}/{worth.trials}", values)


def _foretold(gpu: str, each: FlagFound) -> Cell:
    band = each.predicted.get(gpu)
    if band is None:
        return Cell("-", {f"predicted_{gpu}_{end}": None for end in ("low", "high")})
    low, high = band
    text = f"{low:.2f}-{high:.2f}"
    return Cell(
        f"({text})" if round(low, 2) <= 1 <= round(high, 2) else text,
        {f"predicted_{gpu}_low": low, f"predicted_{gpu}_high": high},
    )


def _moves(moved: Mapping[str, int] | None) -> Cell:
    if moved is None:
        return Cell("-")
    told = [f"{word} {moved[counter]:+,}" for counter, word in COUNTERS.items() if moved.get(counter)]
    return Cell(", ".join(told) or "nothing", dict(moved))
