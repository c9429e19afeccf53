"""What `vlbench recommend` found: of each flag whether it helps and by what, the set, and how that was confirmed."""

from typing import Literal

from pydantic import Field

from vlbench.record.at_scale import Ratios
from vlbench.record.base import Amount, Count, Record
from vlbench.record.preset_file import Figure, PresetFile

Effect = Literal[
    "helps", "no effect", "hurts", "fewer", "more", "not told", "not tried", "not applicable", "inaccurate"
]
"""On the set beside it; "fewer" and "more" are what it asks of a GPU, by counts alone. "not told": what was measured
does not tell it from no effect; of counters none moves, or they move both ways."""
By = Literal["time", "counts", "predicted", "-"]
"""Where counts do not tell, a prediction may; neither is ever taken for a time."""
COUNTERS = {
    "host_syncs": "waits",
    "uploads": "uploads",
    "implicit_uploads": "implicit",
    "device_operations": "operations",
    "attention_calls": "attention",
    "attention_plans": "plans",
    "first_plans": "plans at first",
}
"""By which a flag is judged where nothing was timed, in the order in which they are told, each as a short word: fewer
is better. `first_plans` are those of the first forward."""


class Worth(Record):
    """Time without something / time with it, over several trials: above 1 it helps."""

    ratio: Amount
    low: Amount
    high: Amount
    helping: Count
    """Trials that say it helps, by more than 1 %."""
    hurting: Count
    trials: Count
    reason: str = ""
    """Of the verdict, in a sentence."""


class FlagFound(Record):
    """One flag, beside all others of the set that was started from."""

    flag: str
    effect: Effect
    by: By
    why: str = ""
    """Of a verdict without figures: the reason."""
    in_set: bool
    """Was it in the set that was started from?"""
    worth: Worth | None = None
    """In time on the device at hand; None where it was not measured."""
    counted: dict[str, int] | None = None
    """By how much it moves each counter of a forward on a GPU, those that move; None where it was not counted."""
    predicted: dict[str, Ratios] = Field(default_factory=dict)
    """Span without it / span with it on GPUs that are not at hand, by GPU; empty where nothing was predicted."""

    def in_words(self, model: str) -> str:
        """The verdict and by what; of a verdict that is not by time, for which `model` as a GPU would run it."""
        elsewhere = f", as a GPU, on {model}" if self.by in ("counts", "predicted") and model else ""
        return f"{self.effect} ({self.by}{elsewhere})"


class Together(Record):
    """Two flags of the set that may be worth more, or less, together than their parts."""

    flags: tuple[str, str]
    worth: Worth
    """Of both."""
    apart: Amount
    """Of one times that of the other, each beside the other."""


class Compared(Record):
    """The recommended set beside another tower, in trials that had no say in choosing it."""

    name: str
    """Of the other: the set that was started from, no flags, the reference tower, a peer."""
    worth: Worth
    """Time of the other / time of the recommended set."""
    verdict: str

    def figure(self) -> Figure:
        """For the preset file."""
        ratio, low, high, trials = self.worth.ratio, self.worth.low, self.worth.high, self.worth.trials
        return Figure(ratio=ratio, low=low, high=high, verdict=self.verdict, trials=trials)


class Recommendation(Record):
    """One run of `vlbench recommend`."""

    schema_version: Literal[1] = 1
    preset: PresetFile
    file: str | None = None
    """Where that was written."""
    start: str
    """The preset that was started from."""
    chosen: bool = True
    """False where nothing was timed by which another set could have been chosen: it is `start`, unchanged."""
    left_out: tuple[str, ...]
    """Its flags that the recommended set does not have."""
    added: tuple[str, ...]
    """Flags that it has, and the start has not."""
    flags: tuple[FlagFound, ...]
    together: tuple[Together, ...] = ()
    compared: tuple[Compared, ...] = ()
    said: tuple[str, ...]
    """Why this set, and what a reader has to know, a sentence each."""
    counted_as: str = ""
    """On what the counters were counted, in words; "" where they were not."""
    not_predicted: dict[str, str] = Field(default_factory=dict)
    """By GPU on which some flag has no predicted figure: why."""
    complete: bool
    """Was there time for all that was to be measured and counted?"""
    needs: Amount | None = None
    """Seconds of budget that would about do, where rows were left for lack of time."""
    wrong: str = ""
    """Why its result is wrong, where it is."""
    confirmed: bool | None = None
    """Did fresh trials show it within 1 % of the best? None where nothing was measured."""
