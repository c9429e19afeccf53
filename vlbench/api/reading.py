"""`vlbench.load`: any file of ours, by what it holds."""

from pathlib import Path

from vlbench.api.arguments import File
from vlbench.api.measured import Measured
from vlbench.api.results import Counted, Held, Predictions, Recommended, Stored, Verdicts
from vlbench.api.surveys import Surveyed
from vlbench.comparing.contents import record_in
from vlbench.errors import UsageError
from vlbench.judging.judged import Judged
from vlbench.predicting.captured import HeldCapture
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.predicted import Prediction
from vlbench.predicting.reading import prediction_in
from vlbench.record.atlas import read_atlas
from vlbench.record.base import fitting
from vlbench.record.baseline import Baseline
from vlbench.record.counted import CountReport
from vlbench.record.files import OURS
from vlbench.record.printed import check_not_printed
from vlbench.record.recommendation import Recommendation
from vlbench.record.schema import Results
from vlbench.untrusted.files import read_json


def load(path: File) -> Measured | Counted | Predictions | Held | Recommended | Stored | Verdicts | Surveyed:
    """What a file of ours holds: results of `run`, a baseline, a report of `count`, a prediction, a
    capture that was held against one, a recommendation, an atlas or the verdicts of a comparison.

    `.record` is all of it, typed, and `.table()` is pandas, a row per variant or cell; results have every reading in
    `.samples()`. A baseline need not be accepted. Raises UsageError for a file that is missing, broken, of another
    version, or none of these.
    """
    file = Path(path)
    content = read_json(file, OURS)
    facts = content if isinstance(content, dict) else {}
    if {"package", "left_out"} <= facts.keys():
        return Surveyed(read_atlas(file))
    if "unfit" in facts:
        check_not_printed(file, facts)
    match prediction_in(file, facts):
        case CheckedPrediction() as checked:
            return Predictions(checked.prediction, checked)
        case Prediction() as prediction:
            return Predictions(prediction)
        case HeldCapture() as held:
            return Held(held)
    if {"preset", "start", "flags"} <= facts.keys():
        return Recommended(fitting(Recommendation, facts, file, "recommend again"))
    match record_in(file, facts):
        case Baseline() as baseline:
            return Stored(baseline)
        case Results() as results:
            return Measured(results, file)
        case CountReport() as report:
            return Counted(report)
    if not {"command", "rows"} <= facts.keys():
        check_not_printed(file, content)
        told = "holds no results, baseline, count, prediction or verdicts of vlbench"
        raise UsageError(f"{file}: {told}; give a file that it wrote")
    derived = ("exit_code", "expected_false_rows")
    kept = {key: value for key, value in facts.items() if key not in derived}
    return Verdicts(fitting(Judged, kept, file, "the file was changed by hand, write it again"))
