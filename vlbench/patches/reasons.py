"""Every reason that a patch can be judged by: the fixed list, from which docs/judge-patch.md has its table."""

from enum import Enum
from typing import Literal

from vlbench.judging.exit_codes import FAILURES, ExitCode
from vlbench.judging.verdict import Verdict

PatchVerdict = Literal["improved", "fewer", "same", "regressed", "inconclusive", "missing", "inaccurate", "refused"]


class Reason(Enum):
    """Each is (verdict, what it says)."""

    LESS_ASKED = ("improved", "the result is right, a counter fell and none rose")
    FASTER = ("improved", "the result is right, no counter rose, and pairs of processes show it faster")
    FEWER_UNPROVEN = ("fewer", "a counter fell, and the result may be rougher or comes another way on a GPU")
    NO_GAIN = ("same", "the result is right, and nothing that was measured moved")
    MORE_WAITS = ("regressed", "the host waits more often")
    MORE_WORK = ("regressed", "another counter rose: uploads, plans, operations, bytes")
    SLOWER = ("regressed", "pairs of processes show it slower")
    UNDECIDED = ("inconclusive", "times were asked for, and could not have shown a change of 5 %")
    WRONG_RESULT = ("inaccurate", "its outputs are not BASE's on the same weights, grids and contents")
    NO_RESULT = ("missing", "it cannot be built, raises, ends its process, or takes too long")
    NOT_COUNTED = ("missing", "its counters cannot be had, or do not compare")
    NOT_TIMED = ("missing", "times were asked for, and could not be had")
    CLOCK_OF_ITS_OWN = ("missing", "times were asked for, and its own clock shows a gain that no other clock sees")
    LESS_ON_A_GPU = ("missing", "on a GPU it leaves out work that it does where its result is checked")
    BASE_UNUSABLE = ("missing", "BASE gives nothing to judge by")
    LEFT_BEHIND = ("missing", "when it was stopped it left processes behind, which would run while others work")
    TOUCHED_THE_JUDGE = ("missing", "files of vlbench or of BASE changed while the patch ran")
    NOT_A_PATCH = ("refused", "no unified diff is in the file")
    DOES_NOT_APPLY = ("refused", "git does not apply it to BASE")
    OUTSIDE_THE_REPOSITORY = ("refused", "it names a path outside of the repository, or inside of .git")
    LINK_OR_SUBMODULE = ("refused", "it adds or changes a symbolic link or a submodule")
    EDITS_THE_JUDGE = ("refused", "it edits tests, baselines, vlbench or its settings, or takes the name of a package")

    @property
    def code(self) -> str:
        """As a report has it: `less-asked`."""
        return self.name.lower().replace("_", "-")

    @property
    def verdict(self) -> PatchVerdict:
        """The verdict that goes with it."""
        return self.value[0]

    @property
    def says(self) -> str:
        """What it means, in one line."""
        return self.value[1]

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with; nothing was judged of a patch that is refused."""
        return ExitCode.USAGE if self.verdict == "refused" else FAILURES.get(Verdict(self.verdict), ExitCode.OK)


CODES = {each.code: each for each in Reason}
"""Every reason by its code."""


class JudgementError(Exception):
    """The judgement is made here: why, and the sentence that says what was seen."""

    def __init__(self, reason: Reason, said: str) -> None:
        super().__init__(said)
        self.reason, self.said = reason, said
