"""The version and the folder of the package, apart from the package itself, so that the lowest floor can name them."""

from pathlib import Path

__version__ = "0.1.0"
FOLDER = Path(__file__).parent
"""The installed package `vlbench`."""
