"""What the site adds to the pages: those that lie outside of docs/, and links that GitHub follows and a site does not.

mkdocs calls the functions here (https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

from __future__ import annotations

import re
import tomllib
from os.path import relpath
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
MOVED = {
    "README.md": "index.md",
    "docs/README.md": "pages.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Where pages of the repository lie in the site, if not as in docs/."""
CODE = re.compile(r"(^ *```.*?^ *```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
WIDE = re.compile(r"^\|(?:[^|\n]+\|){6,}$", re.MULTILINE)
"""A table that needs the place of the table of contents."""
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The address of the source is that of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    config.repo_url, config.repo_name, config.edit_uri = project["urls"]["Source"], "Source", ""
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages that lie elsewhere come in."""
    files.remove(files.src_uris["README.md"])
    for source, goal in MOVED.items():
        files.append(File.generated(config, goal, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files of the repository lead to where these are: in the site, or at the source."""
    here = {goal: source for source, goal in MOVED.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def lead(match: re.Match[str]) -> str:
        path = relpath(ROOT / Path(here).parent / match[1], ROOT)
        inside = MOVED.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        goal = inside if inside in files.src_uris else f"{config.repo_url}/{kind}/main/{path}"
        return f"]({goal}{match[2] or ''})" if (ROOT / path).exists() else match[0]

    if WIDE.search(markdown):
        page.meta["hide"] = ["toc"]
    parts = CODE.split(markdown)  # every second one is code
    return "".join(part if number % 2 else LINK.sub(lead, part) for number, part in enumerate(parts))
