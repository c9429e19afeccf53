"""Flags that misbehave in ways that a measuring process has to survive.

Python imports a module of this name at start-up if it is on the path, so a child process that has this folder on its
PYTHONPATH knows these flags without anyone asking for them. Each is a way of the seam `layout`, called in every layer.
"""

from __future__ import annotations

import os
import signal
import time

from torch import Tensor

from vlbench.implementations.optimized import Exactness
from vlbench.implementations.optimized.layout import Layout, layout
from vlbench.trial import limits

limits.WRITING = -240.0  # a budget bounds the rounds, and four minutes more the whole, however busy the machine is


def _misbehaves(flag: str):  # type: ignore[no-untyped-def]
    return layout.optimization(flag, removes="nothing", exactness=Exactness.BIT_EXACT, source="a test")


@_misbehaves("wrong-cos")
class WrongCos(Layout):
    """Quick and wrong."""

    def tile(self, half: Tensor) -> Tensor:
        return half.repeat_interleave(2, dim=-1).unsqueeze(1)


@_misbehaves("gives-nan")
class GivesNan(Layout):
    def merge(self, x: Tensor) -> Tensor:
        return super().merge(x) * float("nan")


@_misbehaves("raises")
class Raises(Layout):
    def tile(self, half: Tensor) -> Tensor:
        raise RuntimeError("out of luck\nand more")


@_misbehaves("tells-folders")
class TellsFolders(Layout):
    """Where what is compiled would be kept."""

    def tile(self, half: Tensor) -> Tensor:
        raise RuntimeError(" ".join(os.environ[name] for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")))


@_misbehaves("aborts")
class Aborts(Layout):
    def tile(self, half: Tensor) -> Tensor:
        os.write(2, b"neither \xff nor \xfe is UTF-8\n")
        os.abort()


@_misbehaves("is-killed")
class IsKilled(Layout):
    def tile(self, half: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return half


@_misbehaves("hangs")
class Hangs(Layout):
    def tile(self, half: Tensor) -> Tensor:
        time.sleep(3600)
        return half


@_misbehaves("is-slow")
class IsSlow(Layout):
    """0.4 s a call: it is asked for sixteen times, four in each of four blocks."""

    def tile(self, half: Tensor) -> Tensor:
        time.sleep(0.4 / 16)
        return super().tile(half)


@_misbehaves("loses-the-device")
class LosesTheDevice(Layout):
    """Its error comes late, when somebody waits for the device, and again for all who wait after that."""

    def tile(self, half: Tensor) -> Tensor:
        from vlbench.trial.clock import SYNCHRONIZE

        def lost() -> None:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        SYNCHRONIZE["cpu"] = lost
        return super().tile(half)


@_misbehaves("prints")
class Prints(Layout):
    """Right, but it talks, and what it says looks like an event."""

    def tile(self, half: Tensor) -> Tensor:
        print('{"event": "finished"}', flush=True)
        os.write(1, b'{"event": "refused", "message": "no"}\n')
        return super().tile(half)


@_misbehaves("is-killed-late")
class IsKilledLate(Layout):
    """Right in its checks; its process dies once it is timed."""

    calls = 0

    def merge(self, x: Tensor) -> Tensor:
        IsKilledLate.calls += 1
        if IsKilledLate.calls > 4 * 20:  # four layers
            os.kill(os.getpid(), signal.SIGKILL)
        return super().merge(x)
