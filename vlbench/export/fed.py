"""What was looked at, in one line above its table: the scenario, its point and what was fed."""

from vlbench.judging.words import number_of
from vlbench.predicting.predicted import PredictedGroup
from vlbench.record.base import grid_text
from vlbench.record.capturable import CapturableGroup, CapturableReport
from vlbench.record.counted import CountGroup, CountReport


def title(report: CountReport | CapturableReport, group: CountGroup | CapturableGroup) -> str:
    """What was counted, in one line."""
    attention = f" with cuDNN {report.cudnn}" if report.cudnn else ""
    return f"{asked(group)}, {report.dtype}, as {report.profile}{attention}"


def asked(group: CountGroup | CapturableGroup | PredictedGroup) -> str:
    """The scenario, its point, and what was fed."""
    point = f" [{group.point}]" if group.point else ""
    much = f"{sum(t * h * w for t, h, w in group.grids):,} patches"
    if group.images:
        much = number_of(len(group.grids), "image")
    fed = grid_text(group.grids[0]) if len(group.grids) == 1 else f"{len(group.grids)} grids"
    if isinstance(group, CountGroup) and group.calls:
        fed = f"the first {len(group.calls)} calls in order, {fed}"
    return f"{group.scenario}{point}: {fed}, {much}"
