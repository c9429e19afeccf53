"""The version and the folder of the package, apart from the package itself, so that the lowest floor can name them."""

from pathlib import Path

FOLDER = Path(__file__).parent
"""The installed package `vlbench`."""


def _version() -> str:
    """What the build wrote, which takes it from git's tags; of code that nobody built, what is installed says it."""
    written = FOLDER / "version.txt"
    if written.is_file():
        return written.read_text(encoding="utf-8").strip()
    from importlib.metadata import PackageNotFoundError, version  # it takes longer than all else here

    try:
        return version("vlbench")
    except PackageNotFoundError:
        return "0.0.0"


__version__ = _version()
