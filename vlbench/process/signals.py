"""What ends a program from outside, Ctrl-C, SIGTERM or a terminal that is closed: in order, with the usual status."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vlbench.process.start import ENDINGS


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Inside, each of these signals raises KeyboardInterrupt once; the program then ends with 128 and the signal.

    The second one is not heard, so that what the first has begun to put away is put away; SIGKILL always is. A signal
    that whoever started us has set to be ignored, as nohup does, stays so.
    """
    received: list[int] = []

    def end(number: int, frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        received.append(number)
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    before = {each: signal.getsignal(each) for each in ENDINGS if is_main}
    before = {each: handler for each, handler in before.items() if handler is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    except BaseException:
        if received:
            sys.exit(128 + received[0])
        raise
    finally:
        for each, handler in before.items():
            if not received:
                signal.signal(each, handler)
