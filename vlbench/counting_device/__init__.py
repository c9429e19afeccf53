"""A device that says it is CUDA and counts what a GPU would be asked to do. See `CountingDevice`.

It needs no GPU. Counts are a model of CUDA: an operation is not a kernel (see `operations` for what is known of each).
"""

from vlbench.counting_device.counts import Cause, Counts, Key, Question, Tally
from vlbench.counting_device.device import CountingDevice, run_counted
from vlbench.counting_device.evaluate import GhostValueError
from vlbench.counting_device.opaque import declare
from vlbench.counting_device.profiles import PROFILES, Profile

__all__ = [
    "PROFILES",
    "Cause",
    "CountingDevice",
    "Counts",
    "GhostValueError",
    "Key",
    "Profile",
    "Question",
    "Tally",
    "declare",
    "run_counted",
]
