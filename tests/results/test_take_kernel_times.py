"""What is taken of the package, and how the model of moved bytes does on real captures."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.kernel_time_tables import STORED, hold_out_table, moved_table
from results.take_kernel_times import BOARDS, LICENCE, MOVED, Moved, is_wanted, residuals, tables
from vlbench.errors import UsageError
from vlbench.kernel_times import board, boards
from vlbench.record.base import fitting
from vlbench.untrusted.files import read_json

CAPTURES = next(
    (each for folder in Path(__file__).parents if (each := folder.parent / "shared/nsys/captures").is_dir()), None
)


def test_small_products_are_kept_by_powers_of_two() -> None:
    assert [m for m in (1, 2, 3, 16, 17, 32, 63, 64, 65, 32_768) if is_wanted(m)] == [1, 2, 16, 32, 64, 65, 32_768]


def test_every_board_is_there_under_its_licence() -> None:
    assert {name: board(name).stored.sms for name in boards()} == {name: told[-1] for name, told in BOARDS.items()}
    assert LICENCE == "Apache-2.0"
    printed = hold_out_table()
    assert all(f"`{name}`" in printed for name in BOARDS)


def test_a_folder_that_is_not_the_package_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--package: .* is not there; give the folder that the wheel was unpacked to"):
        tables(tmp_path, tmp_path)


def test_the_stored_residuals_are_found_again() -> None:
    stored = fitting(Moved, read_json(MOVED, STORED), MOVED, STORED.remedy)
    assert moved_table()
    others = [each for name, each in stored.captures.items() if name != "pytorch_attention_windows"]  # of the constants
    assert all(each.within >= 0.8 and each.median < 0.2 for each in others)
    if CAPTURES is None:
        pytest.skip("needs captures beside the repository")
    assert {path.stem: made for path in CAPTURES.glob("*.sqlite") if (made := residuals(path))} == stored.captures
