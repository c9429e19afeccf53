"""Which rows are checked on everything, and which on the timed batch alone."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from vlbench.trial.job import Checked, Event
from vlbench.trial.progress import Progress


class Checks:
    """What the trials of a session have checked, by plan.

    Where all rows passed once that there was time for, trials that follow check them on the timed batch alone, but for
    `check_all`: code that nobody trusts may do otherwise the second time.
    """

    def __init__(self, *, check_all: bool) -> None:
        self.check_all = check_all
        self._passed: dict[int, set[str]] = defaultdict(set)
        """On all that accuracy is checked on."""
        self._late: dict[int, set[str]] = {}
        """Those for which the last trial that checked everything had no time, and which never passed."""

    def rows(self, index: int, alive: Sequence[str]) -> tuple[Sequence[str], bool]:
        """Those of these rows that are to be measured, and whether they are checked briefly."""
        fitting = [name for name in alive if name not in self._late.get(index, ())]
        if self.check_all or not self._passed[index].issuperset(fitting):
            return alive, False
        return fitting, True

    def further(self, index: int, own: int) -> int:
        """How many brief trials the next one, of so many that are left of its plan, leaves time for: the first may take
        what all of them have, less what the others need."""
        return 0 if self.check_all or index in self._late else own - 1

    def note(self, index: int, progress: Progress, event: Event) -> None:
        """What a trial said."""
        if isinstance(event, Checked) and event.accuracy.passed and not progress.job.briefly:
            self._passed[index].add(event.variant)

    def end(self, index: int, progress: Progress, names: Collection[str]) -> None:
        """A trial over rows of these names is over."""
        if not progress.job.briefly:
            self._late[index] = {*names} - {*progress.checked} - self._passed[index]
