"""`python -m vlbench.process.start MODULE`: runs a module as a process that ends with its parent.

That is arranged before MODULE is imported, for to import torch takes seconds in which the parent may end. Nothing heavy
is imported here.
"""

import ctypes
import json
import os
import runpy
import signal
import sys

PARENT = "VLBENCH_CHILD_PARENT"
"""The variable with the id of the process that started this one."""
ASKED = "VLBENCH_CHILD_ASKED"
"""The variable by which a process is asked for the vlbench that it runs: that is then the first that it says."""
PR_SET_PDEATHSIG = 1
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a program to end: of a group of processes the parent acts on it, and ends what it has started."""


def end_with_parent() -> None:
    """From now on this process ends when its parent does, and at no signal that is meant for the parent."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(os.environ.pop(PARENT)):
        os._exit(1)  # it had ended before


if __name__ == "__main__":
    end_with_parent()
    if os.environ.pop(ASKED, None):
        code = os.path.realpath(os.path.join(__file__, os.pardir, os.pardir, "__init__.py"))
        os.write(1, f"{json.dumps({'code': code})}\n".encode())
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
