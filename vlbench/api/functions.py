"""The functions of `vlbench`, with messages in the words of Python; the command line calls those beneath."""

from vlbench.api import (
    capturing,
    cases,
    counts,
    fleet as fleets,
    history as past,
    patching,
    planning,
    predicting,
    profiles,
    reading,
    recommending,
    reporting,
    running,
    side_by_side,
    simulating,
    surveys,
    verdicts,
)
from vlbench.api.arguments import in_python

run = in_python(running.run)
count = in_python(counts.count)
capturable = in_python(capturing.capturable)
recommend = in_python(recommending.recommend)
count_over = in_python(counts.count_over)
ab = in_python(side_by_side.ab)
verify = in_python(running.verify)
compare = in_python(verdicts.compare)
gate = in_python(verdicts.gate)
judge = in_python(verdicts.judge)
judge_patch = in_python(patching.judge_patch)
predict = in_python(predicting.predict)
predict_capture = in_python(predicting.predict_capture)
profile = in_python(profiles.profile)
simulate = in_python(simulating.simulate)
load = in_python(reading.load)
report = in_python(reporting.report)
case = in_python(cases.case)
atlas = in_python(surveys.atlas)
history = in_python(past.history)
plan = in_python(planning.plan)
run_plan = in_python(planning.run_plan)
merge = in_python(planning.merge)
fleet = in_python(fleets.fleet)
