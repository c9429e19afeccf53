"""The page in a browser: no wider than its window, at the width of a desktop and of a phone, light and dark."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import vlbench
from tests.reporting.examples import sweep
from tests.reporting.test_past import history
from vlbench.api.history import Past
from vlbench.api.measured import Measured
from vlbench.comparing.history import Change

ROOT = Path(__file__).parents[2]
BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
MEASURE = "<script>document.title = `${document.documentElement.scrollWidth} of ${innerWidth}`;</script></body>"


@pytest.mark.slow(12)
@pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_is_no_wider_than_the_window(width: int, tmp_path: Path) -> None:
    past = Past((history((1.0, 2.0), Change(1, 1.0, 2.0, "why " * 20), name="package.module:Tower " * 4),))
    given = [ROOT / "results/multi-image-cpu.json", Measured(sweep()), past]
    made = vlbench.report(given, tmp_path / "a.html", progress=False)
    own = (tmp_path / "a.html").read_text()
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", own).replace("</body>", MEASURE)
    (tmp_path / "b.html").write_text(text)
    assert len(made.record.chapters) > 5
    begin = [str(BROWSER), "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={width},900"]
    dumped = subprocess.run(
        [*begin, "--dump-dom", f"file://{tmp_path}/b.html"], capture_output=True, text=True, check=True
    )
    wide, window = map(int, re.findall(r"<title>(\d+) of (\d+)</title>", dumped.stdout)[0])
    assert window == width
    assert wide <= window
    for scheme, setting in (("light", 1), ("dark", 0)):
        picture = tmp_path / f"{scheme}.png"
        colours = f"--blink-settings=preferredColorScheme={setting}"
        subprocess.run(
            [*begin, colours, f"--screenshot={picture}", f"file://{tmp_path}/a.html"], check=True, capture_output=True
        )
        assert picture.stat().st_size > 20_000
    assert (tmp_path / "light.png").read_bytes() != (tmp_path / "dark.png").read_bytes()
