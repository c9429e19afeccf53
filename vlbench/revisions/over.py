"""Which revision of a range changed a counter: both ends are counted, and what lies in the middle where they differ."""

import math
from collections.abc import Callable, Hashable, Sequence
from functools import cache

from vlbench.comparing.counted_cells import CountResult
from vlbench.counting.job import Point
from vlbench.counting.run import Steps
from vlbench.errors import UsageError
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.record.schema import Dtype
from vlbench.revisions.checkouts import checked_out, commits_between
from vlbench.revisions.counters import counted_at, judged_counts
from vlbench.revisions.request import Pair, way_of


def changes(count: int, value: Callable[[int], Hashable]) -> list[int]:
    """The members of a series that differ from the one before; what lies between equal ends is not looked at.

    So two changes that take each other back are not found.
    """

    def inside(low: int, high: int) -> list[int]:
        if value(low) == value(high):
            return []
        if high - low == 1:
            return [high]
        middle = (low + high) // 2
        return [*inside(low, middle), *inside(middle, high)]

    return inside(0, count - 1)


def count_over(
    text: str,
    tower: str,
    points: Sequence[Point],
    profile: str,
    cudnn: str,
    dtype: Dtype,
    say: Callable[[str], None],
    steps: Steps,
) -> Judged:
    """The ends of `FIRST..LAST` against each other, and each revision between them that changed a counter.

    Raises UsageError for a range that is none, and for a tower that no revision holds.
    """
    way_of(tower)
    commits = commits_between(text)
    most = 2 + math.ceil(math.log2(len(commits)))
    say(f"counting {tower} in at most {most} of {len(commits)} revisions, more where several changed it")
    done = 0

    @cache
    def counted(index: int) -> list[CountResult]:
        nonlocal done
        with checked_out((commits[index].name,)) as (revision,):
            pair = Pair(revision, revision)
            try:
                found = counted_at(pair.at(revision, tower), points, profile, cudnn, dtype)
            except UsageError as error:
                found = [CountResult(reason=pair.plain(str(error))) for _ in points]
        done += 1
        steps(done, max(most, done))
        return found

    def figures(index: int) -> Hashable:
        cells = [each.cell for each in counted(index)]
        return str([cell and (cell.cold.counters, cell.warm.counters) for cell in cells])

    ends = (0, len(commits) - 1)
    rows = _rows(counted(ends[0]), counted(ends[1]), tower, points, dtype, profile)
    for index in changes(len(commits), figures):
        for row in _rows(counted(index - 1), counted(index), tower, points, dtype, profile):
            cell = f"{commits[index].words}: {row.cell}"
            rows.append(row.model_copy(update={"cell": cell, "gates": False}))
    told = f"{done} of {len(commits)} revisions were counted; between two that count alike none was looked at"
    before, after = commits[0].words, commits[-1].words
    return Judged(command="count", before=before, after=after, rows=tuple(rows), notes=(told,), false_alarms=None)


def _rows(
    before: Sequence[CountResult],
    after: Sequence[CountResult],
    tower: str,
    points: Sequence[Point],
    dtype: Dtype,
    profile: str,
) -> list[JudgedRow]:
    return [
        judged_counts({"the older": old, "the newer": new}, tower, point, dtype, profile)
        for old, new, point in zip(before, after, points, strict=True)
    ]
