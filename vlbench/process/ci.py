"""The variable CI, by which anyone's code may tell a build server from a machine of its users."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ci(is_set: bool) -> Iterator[None]:
    """CI is set inside, or is not; afterwards it is what it was."""
    before = os.environ.pop("CI", None)
    if is_set:
        os.environ["CI"] = "true"
    try:
        yield
    finally:
        os.environ.pop("CI", None)
        if before is not None:
            os.environ["CI"] = before
