"""What a file holds that `vlbench predict` wrote or printed."""

from collections.abc import Mapping
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.predicting.captured import HeldCapture
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.predicted import Prediction
from vlbench.record.base import fitting

REMEDY = "predict again"


def prediction_in(path: Path, content: Mapping[str, object]) -> CheckedPrediction | HeldCapture | Prediction | None:
    """The prediction in a file with this object in it, None where it holds something else.

    Raises UsageError where it is one, and broken, edited or of another version.
    """
    if "checksum" not in content or not content.keys() & {"prediction", "boards", "gpus"}:
        return None
    found: CheckedPrediction | HeldCapture | Prediction
    if "prediction" in content:
        found = fitting(CheckedPrediction, content, path, REMEDY)
    elif "figures" in content:
        found = fitting(HeldCapture, content, path, REMEDY)
    else:
        found = fitting(Prediction, content, path, REMEDY)
    if not found.intact or (isinstance(found, CheckedPrediction) and not found.prediction.intact):
        raise UsageError(f"{path}: its checksum does not fit, it was edited or damaged; {REMEDY}")
    return found
