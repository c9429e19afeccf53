"""Numbers without sense and names without end: one sentence, exit code 2, whichever command and option."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.api.arguments import check_numbers
from vlbench.cli import main
from vlbench.errors import UsageError

LONG, LONGER = "y" * 256, "x" * 5000


def said(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command prints as its error; it ends with 2."""
    monkeypatch.setattr("sys.argv", ["vlbench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--budget", "inf"),
        ("--budget", "1e300"),
        ("--timeout", "inf"),
        ("--seed", str(2**70)),
        ("--threads", str(10**9)),
        ("--trials", "99999999999"),
    ],
)
def test_a_number_beyond_all_use_is_refused(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"error: {option}: " in said(["run", option, value], monkeypatch, capsys)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, True, "60"])
def test_no_budget_is_no_number(value: object) -> None:
    with pytest.raises(UsageError, match=r"--budget: .* is not a number from"):
        check_numbers({"budget": value}, "--")


@pytest.mark.parametrize("name", [LONG, LONGER])
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--scenario"],
        ["run", "--model"],
        ["run", "--tower"],
        ["run", "--variant"],
        ["run", "--filter"],
        ["run", "--weights"],
        ["run", "--images"],
        ["run", "--against"],
        ["run", "--seam"],
        ["show"],
        ["nsys", "report"],
        ["baseline", "show"],
        ["gate", "--baseline"],
        ["self-test", "--from"],
        ["judge", "--after", "b", "--before"],
    ],
)
def test_a_name_without_end_is_cut(
    arguments: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    told = said([*arguments, name], monkeypatch, capsys)
    assert "Traceback" not in told
    assert len(told) < 3200
