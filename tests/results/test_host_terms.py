"""What a host took for each act: found again where it is known, and as stored from the rows that were measured."""

from __future__ import annotations

import numpy as np
import pytest

from results.host_terms import ACTS, PATH, ROWS, STORED, HostTerms, acts_of, fitted, terms_table
from results.predict_again import CHECKED, PATH as AGAIN
from vlbench.export.checked_prediction import held_rows
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.host import Act, hosts
from vlbench.predicting.predicted import Prediction
from vlbench.predicting.reading import prediction_in
from vlbench.record.base import fitting
from vlbench.untrusted.files import read_json


def stored() -> HostTerms:
    found = fitting(HostTerms, read_json(PATH, STORED), PATH, STORED.remedy)
    assert found.intact
    return found


def measured() -> CheckedPrediction:
    held = prediction_in(CHECKED, read_json(CHECKED, STORED))
    assert isinstance(held, CheckedPrediction)
    return held


def test_known_figures_are_found_again() -> None:
    us = {"launch": 20.0, "attention call": 30.0, "call that waits": 15.0, "view": 2.0}
    acts = stored().acts
    seconds = {row: sum(acts[row][act] * each * 1e-6 for act, each in us.items()) for row in ROWS}
    found = fitted(acts, {row: [each * off for off in np.linspace(0.99, 1.01, 25)] for row, each in seconds.items()})
    assert found.us == pytest.approx(us)
    assert found.off == 0
    assert all(0 <= found.least[act] < each < found.most[act] < each + 20 for act, each in us.items())


def test_the_stored_figures_are_those_of_the_measured_rows() -> None:
    found, held = stored(), measured()
    assert held.measured
    for trial, process in zip(held.measured.groups[0].trials, found.processes, strict=True):
        took = {each.name: each.timings["warm"].seconds for each in trial.variants if each.name in ROWS}
        assert fitted(found.acts, took) == process
        assert process.off < 0.03
        assert process.us["view"] == process.least["view"] == 0
        assert process.most["view"] > 5, "the rows do not tell views from launches"
        assert process.most["attention call"] < hosts()[1].us[Act.ATTENTION]
    assert len(terms_table().splitlines()) == 2 + len(ACTS)


def test_the_gpu_was_busy_for_as_long_as_was_predicted() -> None:
    again = prediction_in(AGAIN, read_json(AGAIN, STORED))
    assert isinstance(again, Prediction)
    bands = {row.row: row.busy for row in again.groups[0].rows if row.gpu.startswith("measured")}
    seen = {row.row.row: row.seen.busy_seconds for row in held_rows(measured()) if row.seen}
    assert len(seen) == 6
    for name, busy in seen.items():
        band = bands[name]
        assert band
        assert busy
        assert band.low <= busy <= band.high


@pytest.mark.slow(4)
def test_a_row_asks_as_much_of_the_host_as_is_stored() -> None:
    assert acts_of("best") == stored().acts["best"]
