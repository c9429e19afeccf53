"""The README as package indexes show it: its links are relative to the repository, which an index does not have."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

SOURCE = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
README = re.sub(
    r"(!?)\[([^\]]*)\]\((?!\w+:)([^)#\s]+)",
    lambda link: f"{link[1]}[{link[2]}]({SOURCE}/{'raw' if link[1] else 'blob'}/main/{link[3]}",
    Path("README.md").read_text(encoding="utf-8"),
)

setup(long_description=README, long_description_content_type="text/markdown")
