"""Profiles of a real tower by pyinstrument, and what a browser makes of the page."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from pyinstrument.session import Session

from tests.implementations.towers import NARROW_2_5, pixels_of, weights_of
from vlbench.implementations import build_tower
from vlbench.profiling.host import profile_host, tree, tree_as_data, write_profile

BATCH = ((1, 16, 16),)


@pytest.fixture(scope="module")
def session() -> Session:
    tower = build_tower(NARROW_2_5, (), weights_of(NARROW_2_5))

    def forward() -> None:
        with torch.inference_mode():
            tower(pixels_of(NARROW_2_5, BATCH), torch.tensor(BATCH))

    return profile_host(forward, 30)


def test_the_tree_names_our_functions_and_not_what_torch_puts_between_them(session: Session) -> None:
    text = tree(session)
    assert "Block.forward" in text
    assert "_call_impl" not in text


def frames(frame: dict[str, Any]) -> list[dict[str, Any]]:
    return [frame, *(inner for child in frame["children"] for inner in frames(child))]


def test_a_frame_takes_at_least_as_long_as_its_children(session: Session) -> None:
    found = frames(tree_as_data(session)["root_frame"])
    assert any(frame["function"] == "forward" for frame in found)
    for frame in found:
        inner = sum(child["time"] for child in frame["children"])
        assert inner <= frame["time"] + 1e-5 * (1 + len(frame["children"])), frame["function"]


def test_the_speedscope_file_has_a_balanced_profile(session: Session, tmp_path: Path) -> None:
    _, file = write_profile(session, tmp_path)
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["$schema"].endswith("speedscope.app/file-format-schema.json")
    listed = document["shared"]["frames"]
    places = [(frame["name"], Path(frame["file"]).name) for frame in listed if frame["file"]]
    assert ("forward", "tower.py") in places
    (profile,) = document["profiles"]
    opened: list[int] = []
    for event in profile["events"]:
        if event["type"] == "O":
            opened.append(event["frame"])
        else:
            assert opened.pop() == event["frame"]
    assert opened == []


def test_a_browser_shows_the_profile(session: Session, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium")
    page, _ = write_profile(session, tmp_path)
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    done = subprocess.run(
        [browser, *options, "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    shown = done.stdout.partition('<div id="app"')[2].partition("<script")[0]
    assert "OptimizedVisionTower" in shown  # drawn, not only in the page's data
    assert "_call_impl" not in shown
