"""The site that `make site` builds: it shows the pages as GitHub does, and asks no network for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

pytest.importorskip("mkdocs", reason="needs mkdocs-material (pip install '.[site]')")
pytest.importorskip("material", reason="needs mkdocs-material (pip install '.[site]')")

from docs.site import MOVED, ROOT, on_page_markdown

PAGES = [*MOVED, *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "README.md")]
SHOWN = ("table", "tr", "li", "pre", "code", "h1", "h2", "h3", "strong", "em")


class Tags(HTMLParser):
    """How often each tag begins."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found[tag] += tag in SHOWN


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow(5)
def test_every_page_shows_what_it_shows_on_github(site: Path) -> None:
    github = MarkdownIt("commonmark").enable("table")
    for page in PAGES:
        made = (site / Path(MOVED.get(page, Path(page).name)).with_suffix(".html")).read_text()
        article = made[made.index("<article") : made.index("</article>")]
        assert Tags(article).found == Tags(github.render((ROOT / page).read_text())).found, page


@pytest.mark.slow(1)
def test_nothing_is_asked_of_a_network(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text()
        asked = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\ssrc=[\"']?([^\"' >]+)", text)
        asked += re.findall(r"<link\b(?![^>]*rel=[\"']?(?:canonical|next|prev))[^>]*\shref=[\"']?([^\"' >]+)", text)
        assert [each for each in asked if re.match(r"(https?:)?//", each)] == [], path.name
        assert 'class="mermaid"' not in text  # the theme would fetch what draws these
    for path in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*|@import[^;]*", path.read_text()) == [], path.name


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"^ {6}- .*: ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(MOVED.get(page, Path(page).name) for page in PAGES)


def test_links_lead_into_the_site_or_to_the_source_and_code_stays_as_it_is() -> None:
    files = SimpleNamespace(src_uris={"gate.md": 0, "index.md": 0})
    page = SimpleNamespace(file=SimpleNamespace(src_uri="flags.md"), meta={})
    config = SimpleNamespace(repo_url="https://h/v")
    text = "[a](gate.md#exit-codes) [b](../README.md) [c](../action/action.yml) [d](../action) `[e](gate.md)` [f](#g)"
    made = on_page_markdown(text, page, config, files)  # type: ignore[arg-type]
    assert made == (
        "[a](gate.md#exit-codes) [b](index.md) [c](https://h/v/blob/main/action/action.yml) "
        "[d](https://h/v/tree/main/action) `[e](gate.md)` [f](#g)"
    )
