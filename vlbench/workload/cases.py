"""Published results and what of them can be shown without a GPU: a TOML file each, beside the scenarios."""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from vlbench.errors import UsageError
from vlbench.implementations.optimized import FlagError, with_requirements
from vlbench.record.base import Record, twice_in
from vlbench.record.counts import Tally
from vlbench.untrusted.files import Kind, read_toml
from vlbench.untrusted.limits import Limit
from vlbench.workload.library import case_path
from vlbench.workload.scenario import complaint

CASE = Kind("name one of `vlbench case list`, or a file", Limit.SCENARIO, broken="{path} is not TOML ({why}); mend it")
COUNTERS = tuple(Tally.model_fields)


class Counting(Record, strict=True):
    """Flag sets of one model, counted at full size without a GPU."""

    name: str
    """By which claims name it."""
    about: str
    """What is fed in, in words."""
    grid: tuple[str, ...] = Field(strict=False)
    """Frames x rows x columns in patches, one for each picture or video."""
    sets: tuple[str, ...] = Field(strict=False)
    """Names in [sets], or variants as `--with` takes them."""
    model: str = "qwen2.5-vl-7b"
    """The model whose tower is counted."""
    in_order: str = ""
    """One of [sets] whose flags are counted as they came: the first, the first two, and so on, or those beyond another
    of `sets` that it begins with."""


class Timing(Record, strict=True):
    """One place in the forward, timed alone, or whole towers."""

    name: str
    """By which claims name it."""
    why: str
    """What was scaled down to end in seconds, and how it compares with what was published."""
    seam: str = ""
    """As `vlbench run --seam` takes it."""
    size: str = ""
    """One of its sizes, by its label."""
    scenario: str = ""
    """In place of a seam: what towers are fed."""
    sets: tuple[str, ...] = Field(default=(), strict=False)
    """These towers: names in [sets], or variants. The others are held against the first."""
    device: Literal["", "cpu", "cuda"] = ""
    """The only one that it is timed on; "" for whichever the case is run on."""
    seconds: float = Field(default=15.0, gt=0, le=120)
    """Its budget."""

    @model_validator(mode="after")
    def _of_a_seam_or_of_towers(self) -> Self:
        given = (bool(self.seam), bool(self.size), bool(self.scenario), len(self.sets) > 1)
        if given not in ((True, True, False, False), (False, False, True, True)):
            raise ValueError("a [[time]] has a seam and its size, or a scenario and two sets or more")
        return self


class Counted(Record, strict=True):
    """A claim that counters decide."""

    at: str
    """The counting."""
    of: str
    """The set."""
    against: str
    """What the set is held against."""
    counter: str = "device_operations"
    """One of the counters of `vlbench count`."""
    stage: str = ""
    """Of one stage of the forward; "" for all of it."""
    operation: str = ""
    """In place of a counter: how often this operation is asked for, such as "cos"."""
    expect: Literal["falls", "rises", "stays", "is"]
    """Which way it goes, or `is` for the number in `exactly`."""
    least: float = Field(default=0.0, ge=0)
    """The smallest change that counts, as a share of what it is held against."""
    most: float | None = Field(default=None, gt=0)
    """The largest one."""
    exactly: int | None = None
    """What the set has, with `is`."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.counter not in COUNTERS:
            raise ValueError(f"counter {self.counter!r} is none of {', '.join(COUNTERS)}")
        if (self.exactly is None) == (self.expect == "is"):
            raise ValueError("exactly and expect = 'is' go together")
        if self.expect in ("is", "stays") and (self.least or self.most is not None):
            raise ValueError(f"least and most are about what falls or rises; leave them out beside {self.expect!r}")
        if self.operation and (self.stage or self.counter != "device_operations"):
            raise ValueError("operation is counted over the whole forward; leave out stage and counter beside it")
        return self


class Timed(Record, strict=True):
    """A claim that times decide, as far as they can."""

    at: str
    """The timing."""
    of: str
    """A row of it, or one of its sets."""
    expect: Literal["faster", "no change"]
    """What was published."""
    least: float = Field(default=0.0, ge=0, lt=1)
    """The smallest share of the time that counts, with `faster`."""

    @model_validator(mode="after")
    def _least_is_read(self) -> Self:
        if self.least and self.expect != "faster":
            raise ValueError(f"least is about what is faster; leave it out beside {self.expect!r}")
        return self


class Claim(Record, strict=True):
    """One sentence of a published result, and what decides it here."""

    says: str
    """The claim, in words."""
    published: str = ""
    """The published figures, with their machine where it is known."""
    source: str = ""
    """Who published them, and when."""
    counted: Counted | None = None
    """Counters decide it."""
    timed: Timed | None = None
    """Times decide it."""
    needs: str = ""
    """What would decide it and is not here, such as "a server"."""
    why: str = ""
    """Where it is known to come out otherwise here: why."""

    @model_validator(mode="after")
    def _decided_once(self) -> Self:
        if sum(map(bool, (self.counted, self.timed, self.needs))) != 1:
            raise ValueError("one of counted, timed and needs has to say what decides it")
        return self


class Case(Record, strict=True):
    """One published result."""

    title: str
    """What it is."""
    source: str
    """Who published it, and when."""
    about: str
    """What it did, and how it is re-enacted here."""
    sets: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = Field(default_factory=dict)
    """Flags by the name of a set, in the order of the commits."""
    count: tuple[Counting, ...] = Field(default=(), strict=False)
    """What is counted."""
    time: tuple[Timing, ...] = Field(default=(), strict=False)
    """What is timed."""
    claim: tuple[Claim, ...] = Field(min_length=1, strict=False)
    """What it claims."""

    @model_validator(mode="after")
    def _all_is_there(self) -> Self:
        counted = {each.name: self.steps(each) for each in self.count}
        timed = {each.name: each.sets for each in self.time}
        for kind, given in (("[[count]]", self.count), ("[[time]]", self.time)):
            if twice := twice_in(each.name for each in given):
                raise ValueError(f"two {kind} are called {twice[0]!r}; give each a name of its own")
        for each in self.count:
            if foreign := [variant for variant in counted[each.name].values() if ":" in variant]:
                raise ValueError(f"[[count]] {each.name!r}: {foreign[0]} is no flag; no result of it would be checked")
        for claim in self.claim:
            if (by := claim.counted) and by.of == by.against:
                raise ValueError(f"claim {claim.says!r}: {by.of} is held against itself; name another set")
            if (by := claim.counted) and not {by.of, by.against} <= counted.get(by.at, {}).keys():
                raise ValueError(f"claim {claim.says!r}: no [[count]] {by.at!r} has the sets {by.of} and {by.against}")
            if claim.timed and claim.timed.at not in timed:
                raise ValueError(f"claim {claim.says!r}: there is no [[time]] {claim.timed.at!r}")
            if claim.timed and (sets := timed[claim.timed.at]) and claim.timed.of not in sets[1:]:
                of = f"{claim.timed.of} against {sets[0]}"
                raise ValueError(f"claim {claim.says!r}: [[time]] {claim.timed.at!r} does not have {of}")
        return self

    def variant(self, name: str) -> str:
        """What `--with` takes for a set, or a name that is none."""
        return "+".join(self.sets[name]) if name in self.sets else name

    def steps(self, counting: Counting) -> dict[str, str]:
        """Variants by name: the sets, and the growing part of the one in order, beyond the longest it begins with."""
        named = {name: self.variant(name) for name in counting.sets if name != counting.in_order}
        flags = self.sets.get(counting.in_order, ())
        others = [self.sets[name] for name in named if name in self.sets]
        begun = max((len(each) for each in others if each == flags[: len(each)]), default=0)
        for number, flag in enumerate(flags[begun:-1], begun + 1):
            try:
                needed = with_requirements([flag]) - {*flags[:number]}
            except FlagError as error:
                raise ValueError(str(error)) from None
            named[f"+ {flag}"] = "+".join([*flags[:number], *sorted(needed)])
        return named | {name: self.variant(name) for name in counting.sets}


NESTED: dict[str, type[Record]] = {"count": Counting, "time": Timing, "claim": Claim}


def load_case(name: str) -> Case:
    """The shipped case of this name, or the user's own file where it ends in .toml. Raises UsageError."""
    path = case_path(name)
    try:
        return Case.model_validate(read_toml(path, CASE))
    except ValidationError as error:
        raise UsageError(f"{path}: {complaint(error, Case, NESTED)}") from None
