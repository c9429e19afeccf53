"""On the PYTHONPATH of a Ray: parts of a plan start their processes as the tests do, and have as much time."""

import os
import sys

if sys.orig_argv[3:5] == ["vlbench.process.start", "vlbench"]:
    import importlib
    import subprocess

    from tests.warm_start import COMMANDS, WORKERS, Waiting, WarmPopen
    from vlbench.trial import limits

    for each in (*WORKERS, *COMMANDS):
        importlib.import_module(each)
    limits.WRITING = -3600.0  # a budget bounds the rounds, and an hour more the whole, however busy the machine is
    os.setpgid(0, 0)
    WarmPopen.waiting, subprocess.Popen = Waiting.forked(), WarmPopen  # type: ignore[misc]
