"""What is stored of serving engines is whole, is of the releases that the adapters are for, and has its label."""

from __future__ import annotations

from results.count_engines import FIGURES, MODELS, engine_table, stored_engines
from tests.adapters.test_engines import SERIES


def test_every_engine_is_stored_with_the_label_of_what_ran() -> None:
    stored = {each.name: each for each in stored_engines()}
    for engine, series in SERIES.items():
        (name,) = (each for each in stored if each.startswith(f"{engine}-{series}"))
        cells = stored[name].counted
        assert [cell.tower for cell in cells] == [f"{engine}:{model}" for model in MODELS]
        assert {cell.key.platform for cell in cells} == {"CPU platform"}
        assert all(cell.name.endswith(" CPU platform") for cell in cells)
        assert all(cell.warm.counters[figure] > 0 for cell in cells for figure in FIGURES)
    assert len(stored) == len(SERIES)


def test_the_table_has_a_row_for_each_and_says_what_ran() -> None:
    rows = [line for line in engine_table().splitlines() if line.startswith("| `")]
    assert len(rows) == len(SERIES) * len(MODELS)
    assert all("| CPU platform |" in row for row in rows)
