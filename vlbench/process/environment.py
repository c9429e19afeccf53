"""The environment of a process that may start in another folder."""

from __future__ import annotations

import os


def portable_environment() -> dict[str, str]:
    """This process's environment, with a PYTHONPATH that names the same folders from anywhere."""
    path = os.environ.get("PYTHONPATH")
    if not path:
        return dict(os.environ)
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))}
