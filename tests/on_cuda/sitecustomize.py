"""Python imports this at its start where the folder is on the path: the process then has a GPU that stands in."""

from __future__ import annotations

import sys

from tests.cuda_stand_ins import cuda
from vlbench.trial import limits

limits.WRITING = -60.0  # a budget bounds the rounds, and a minute more the whole, however busy the machine is
_DEVICE = cuda(throttled=True)  # so that it is seen who asks
if "vlbench.predicting.worker" not in sys.orig_argv:  # which counts on a device of its own
    _DEVICE.__enter__()  # and nobody leaves it
