"""From what was measured to a recommendation: the sets that are confirmed, the one that is chosen, and why."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from vlbench.api.counting_flags import Counting
from vlbench.errors import UsageError
from vlbench.implementations.config import VisionConfig
from vlbench.judging.flag_worth import (
    all_estimates,
    between,
    decided,
    effect_of_counts,
    effects_in,
    reason_untimed,
    worth_of,
)
from vlbench.judging.smallest import WITHIN, is_within, smallest
from vlbench.judging.summary import trials_of
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.words import change, percent
from vlbench.matrix.ablation import variant_of, without
from vlbench.matrix.candidates import Candidates, needed_by, put_in
from vlbench.record.recommendation import Compared, FlagFound, Together, Worth
from vlbench.record.schema import NO_FLAGS, REFERENCE, CellGroup
from vlbench.stats.paired import Estimate
from vlbench.towers.variants import Variant, no_flags, parse_variant, reference_tower

BESIDE = ("hf-sdpa", "floor")
"""Towers that the set is held against, where they can be had."""


def was_left(group: CellGroup, name: str) -> bool:
    """Was there no time for this row in any trial?"""
    return all(each.left for each in trials_of(group, name))


@dataclass
class Screened:
    """What each flag was found to be worth."""

    tried: Candidates
    counting: Counting | None
    group: CellGroup | None = None
    """Of the first trials, by which sets are chosen; None where nothing is timed."""
    complete: bool = True
    budget: float = 0.0
    """Seconds that there were for all of it."""

    def is_left(self, flag: str) -> bool:
        """Was there no time for the row of this flag?"""
        return self.group is not None and was_left(self.group, self.tried.changed[flag].name)

    def needs(self) -> float | None:
        """Seconds that would about do: in as many more as rows were left by the first trials; None where none was."""
        trials = [trial for trial in self.group.vote() if trial.variants] if self.group else []
        rows = [each for trial in trials for each in trial.variants]
        timed = sum(not each.left for each in rows)
        return None if timed in (0, len(rows)) else float(f"{self.budget * len(rows) / timed:.2g}")

    def sets(self) -> list[Variant]:
        """The sets to be confirmed, the smallest first; none where the whole is all that the rule comes to.

        One leaves out only what costs nothing: where all is told apart, nothing is faster.
        """
        flags, worth, pairs = self.flags(), self.worth(), self.worth_of_pairs()
        others = {flag: needed_by(flag, flags) for flag in flags}
        rules: tuple[tuple[float, bool], ...] = ((WITHIN, True), (WITHIN, False), (0.0, False))
        found = {smallest(flags, worth, others, pairs, within=within, boldly=boldly).flags for within, boldly in rules}
        chosen = sorted(found - {self.tried.flags}, key=lambda each: (len(each), sorted(each)))
        return [self._variant(*each) for each in zip(names_by_size(chosen), chosen, strict=True)]

    def flags(self) -> frozenset[str]:
        """The whole set, with those put in that are shown to help there, the one that helps most first."""
        found = effects_in(self.group, self._rows(), self.tried.flags) if self.group else {}
        better = {flag: worth for flag, (effect, worth) in found.items() if effect == "helps"}
        flags = self.tried.flags
        for flag in sorted(better.keys() - flags, key=lambda each: -better[each].ratio):
            flags = put_in(flag, flags)
        return flags

    def worth(self) -> dict[str, Estimate]:
        """By flag of the whole set: time without it / time with it."""
        assert self.group
        names = {flag: row.name for flag, row in self.tried.changed.items() if flag in self.tried.flags}
        found = {flag: all_estimates(self.group, name) for flag, name in names.items()}
        return {flag: each for flag, each in found.items() if each}

    def worth_of_pairs(self) -> dict[tuple[str, str], Estimate]:
        """By two flags of the whole set that are left out at once: time without them / time with them."""
        assert self.group
        found = {pair: all_estimates(self.group, row.name) for pair, row in self.tried.together.items()}
        return {pair: each for pair, each in found.items() if each}

    def together(self) -> tuple[Together, ...]:
        """Two flags left out at once, where both were timed, and each alone."""
        if self.group is None:
            return ()
        found = effects_in(self.group, self._rows(), self.tried.flags)
        pairs = {pair: row.name for pair, row in self.tried.together.items() if {*pair} <= found.keys()}
        made = []
        for pair, name in pairs.items():
            judged = between(self.group, name, self.tried.whole.name)
            if judged and (worth := worth_of(*judged, inverse=False)):
                apart = found[pair[0]][1].ratio * found[pair[1]][1].ratio
                made.append(Together(flags=pair, worth=worth, apart=apart))
        return tuple(made)

    def _rows(self) -> dict[str, str]:
        return {flag: row.name for flag, row in self.tried.changed.items()}

    def _variant(self, name: str, flags: frozenset[str]) -> Variant:
        return variant_of(name, flags, self.tried.config, self.tried.device, self.tried.whole.name)


def names_by_size(sets: Sequence[Collection[str]]) -> list[str]:
    """Such as "8 flags"; those of one size are told apart by a letter."""
    sizes = [len(each) for each in sets]
    letters = [f" {ascii_uppercase[sizes[:at].count(size)]}" * (sizes.count(size) > 1) for at, size in enumerate(sizes)]
    return [f"{size} flags{letter}" for size, letter in zip(sizes, letters, strict=True)]


@dataclass(frozen=True)
class Found:
    """The set that is recommended."""

    flags: frozenset[str]
    name: str
    """Of its row in the trials that confirmed it."""
    confirmed: bool | None
    why: str
    chosen: bool = True
    """False where nothing was measured by which another could have been."""


def confirm_rows(screened: Screened) -> list[Variant]:
    """The rows of the fresh trials: the whole, the sets chosen, and what they are held against."""
    config, device = screened.tried.config, screened.tried.device
    others = [each for name in BESIDE if (each := if_any(name, config, device))]
    rows = [reference_tower(), screened.tried.whole, *screened.sets(), no_flags(), *others]
    return list({row.name: row for row in rows}.values())


def choose(screened: Screened, fresh: CellGroup | None) -> Found:
    """The smallest of the sets that `fresh` trials put within 1 % of the fastest, else the whole."""
    tried = screened.tried
    if fresh is None:
        moved = screened.counting.moved if screened.counting else {}
        hurting = [flag for flag in tried.flags if effect_of_counts(moved.get(flag, {})) == "more"]
        return Found(without(hurting, tried.flags), tried.whole.name, None, "no counter of it gets worse by a flag")
    sets = {each.name: frozenset(each.flags or ()) for each in screened.sets()}
    ratios = {name: each.ratio for name in sets if (each := all_estimates(fresh, name))}
    fastest = min({**ratios, tried.whole.name: 1.0}.items(), key=lambda each: each[1])[0]
    for name in ratios:
        against = fastest if name != fastest else tried.whole.name
        judged = between(fresh, name, against)
        if judged is None or judged[0].estimate is None:
            continue
        verdict, ratio = judged[0].verdict, judged[0].estimate
        if verdict is not Verdict.REGRESSED and ratio.ratio <= 1 + WITHIN:
            trials = f"{judged[1]} fresh trials say" if judged[1] > 1 else "one fresh trial says"
            told = f"{trials} {change(ratio.low)} to {change(ratio.high)} of {against}'s time"
            enough = judged[1] >= Floors().votes_needed(judged[1])
            return Found(sets[name], name, enough and is_within(ratio), told)
    worth, untimed = screened.worth(), [name for name in sets if was_left(fresh, name)]
    timed = any(each.timings for each in trials_of(fresh, tried.whole.name))
    if not timed or (tried.flags and not worth) or (sets and len(untimed) == len(sets)):
        why = "there was no time to confirm another" if worth else "no flag of it was timed"
        return Found(tried.flags, tried.whole.name, False, why, chosen=False)
    unknown = [flag for flag in tried.flags & tried.changed.keys() if screened.is_left(flag)]
    why = f"no flag of it{' that was timed' * bool(unknown)} can go within 1 %"
    if sets:
        why = f"fresh trials put no smaller set{' that there was time for' * bool(untimed)} within 1 % of it"
    return Found(tried.flags, tried.whole.name, not (unknown or untimed), why)


def compare(fresh: CellGroup, found: Found) -> tuple[Compared, ...]:
    """The recommended set beside each other row, by the fresh trials alone."""
    made = []
    for row in fresh.rows:
        judged = None if row.name == found.name else between(fresh, row.name, found.name)
        if judged and (worth := worth_of(*judged, inverse=False)):
            made.append(Compared(name=row.name, worth=worth, verdict=str(judged[0].verdict)))
    return tuple(made)


def found_flags(screened: Screened) -> tuple[FlagFound, ...]:
    """Every flag, in the order of the forward."""
    tried, counting, group = screened.tried, screened.counting, screened.group
    rows = {flag: row.name for flag, row in tried.changed.items()}
    timed = effects_in(group, rows, tried.flags) if group else {}
    found = []
    for flag in tried.order:
        moved = counting.moved.get(flag) if counting else None
        predicted = counting.predicted.get(flag, {}) if counting else {}
        effect, by = decided(timed.get(flag), moved, predicted.values())
        why = tried.not_tried.get(flag, "")
        if by == "-" and counting and not why:
            why = counting.why_not.get(flag, "")
        if group and flag in rows and flag not in timed:
            untimed, why = reason_untimed(group, rows[flag])
            if untimed == "inaccurate" or moved is None:
                effect, by = untimed, "-"
        if flag in tried.inapplicable:
            effect, by, why = "not applicable", "-", tried.inapplicable[flag]
        elif flag in tried.not_tried:
            effect, by = "not tried", "-"
        worth = timed[flag][1] if flag in timed else None
        told = FlagFound(flag=flag, effect=effect, by=by, why=why, in_set=flag in tried.flags)
        found.append(told.model_copy(update={"worth": worth, "counted": moved, "predicted": predicted}))
    return tuple(found)


def said_of(
    found: Found, tried: Candidates, flags: Sequence[FlagFound], compared: Sequence[Compared], start: str
) -> Iterator[str]:
    """Why this set, a sentence each."""
    gone, added = sorted(tried.flags - found.flags), sorted(found.flags - tried.flags)
    if not found.chosen:
        yield f"This is {start} as it was: {found.why}."
    elif gone or added:
        more = f", and with {', '.join(added)}" if added else ""
        yield f"It is {start} without {', '.join(gone) or 'any of its flags'}{more}: {found.why}."
    else:
        yield f"It is {start} as it stands: {found.why}."
    if found.confirmed is False and found.chosen:
        yield "That is not confirmed: five --trials, more --budget, or a quieter machine, would tell."
    by_name = {each.name: each for each in compared}
    helping = [each.flag for each in flags if each.effect == "helps" and each.by == "time"]
    all_timed = all(
        each.by == "time" or each.effect in ("inaccurate", "not applicable") for each in flags if each.in_set
    )
    bare = by_name.get(NO_FLAGS) if all_timed and not helping else None
    if bare and (bare.verdict == "same" or bare.worth.high <= 1 + WITHIN):
        yield (
            f"Nothing is to be gained here beyond rounding: no flag is shown to help, and {NO_FLAGS} takes "
            f"{_times(bare.worth)} times as long as the set."
        )
    for name in (REFERENCE, *BESIDE):
        if each := by_name.get(name):
            yield _beside(each)


def _beside(each: Compared) -> str:
    if each.name == "floor":
        return f"It runs at {percent(each.worth.ratio)} of the floor, the products and attention that are unavoidable."
    return f"{each.name} takes {_times(each.worth)} times as long: {each.worth.reason}."


def _times(worth: Worth) -> str:
    return f"{worth.ratio:.2f} [{worth.low:.2f}, {worth.high:.2f}]"


def if_any(name: str, config: VisionConfig, device: str) -> Variant | None:
    """The variant of this name; None where it cannot be had here."""
    try:
        return parse_variant(name, config, device)
    except UsageError:
        return None
