"""Waits that are meant: by a block or by a comment, with a reason, counted apart."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import torch

import vlbench
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.record.counts import Counts


def counted(code: object) -> Counts:
    with CountingDevice("ghost") as device:
        lengths = device.upload(torch.tensor([1, 2, 4]))
        with device.count() as counter:
            code(lengths)  # type: ignore[operator]
    return counter.report


def by_block(x: torch.Tensor) -> None:
    with vlbench.allow_sync("the kernel wants\n  Python numbers"):
        x.tolist()
        with vlbench.allow_sync("inner"):
            x.sum().item()
    x.max().item()


def by_comment(x: torch.Tensor) -> None:
    x.tolist()  # vlbench: allow-sync the kernel wants Python numbers
    x.max().item()


def test_a_block_allows_what_waits_inside_and_nothing_else() -> None:
    report = counted(by_block)
    assert (report.total.allowed_syncs, report.total.host_syncs, report.total.read_backs) == (2, 1, 3)
    assert [site.allowed for site in report.causes] == ["the kernel wants Python numbers", "inner", ""]


def test_a_comment_allows_its_line() -> None:
    report = counted(by_comment)
    assert (report.total.allowed_syncs, report.total.host_syncs) == (1, 1)
    assert [site.allowed for site in report.causes] == ["the kernel wants Python numbers", ""]


def helper(x: torch.Tensor) -> list[int]:
    return x.tolist()


def test_a_comment_allows_nothing_that_a_called_function_waits_for_and_a_block_does() -> None:
    def code(x: torch.Tensor) -> None:
        helper(x)  # vlbench: allow-sync the kernel wants Python numbers
        with vlbench.allow_sync("the kernel wants Python numbers"):
            helper(x)

    report = counted(code)
    assert (report.total.allowed_syncs, report.total.host_syncs) == (1, 1)


def test_what_does_not_wait_needs_no_permission() -> None:
    def code(x: torch.Tensor) -> None:
        with vlbench.allow_sync("of no use"):
            torch.arange(3).pin_memory().to("cuda", non_blocking=True)

    report = counted(code)
    assert (report.total.allowed_syncs, report.total.host_syncs, report.causes[0].allowed) == (0, 0, "")


def test_another_thread_has_marks_of_its_own() -> None:
    def code(x: torch.Tensor) -> None:
        with vlbench.allow_sync("here"):
            other = threading.Thread(target=x.tolist)
            other.start()
            other.join()

    assert counted(code).total.host_syncs == 1


def test_an_exception_ends_the_permission() -> None:
    def code(x: torch.Tensor) -> None:
        with pytest.raises(KeyError), vlbench.allow_sync("until it fails"):
            raise KeyError
        x.tolist()

    assert counted(code).total.host_syncs == 1


@pytest.mark.parametrize("reason", ["", " ", None, 3])
def test_a_block_without_a_reason_is_refused_also_where_nothing_is_counted(reason: object) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        vlbench.allow_sync(reason)  # type: ignore[arg-type]


def without_reason(x: torch.Tensor) -> None:
    x.tolist()  # vlbench: allow-sync


def another_word(x: torch.Tensor) -> None:
    x.tolist()  # vlbench: allow_sync it is meant


@pytest.mark.parametrize(
    ("code", "words"), [(without_reason, "gives no reason"), (another_word, "there is no mark `# vlbench: allow_sync`")]
)
def test_a_comment_that_says_too_little_is_refused_with_its_place(code: object, words: str) -> None:
    with pytest.raises(UsageError, match=rf"test_allowed.py:\d+: .*{words}"):
        counted(code)


def in_a_string(x: torch.Tensor) -> tuple[int, str]:
    return int(x[0]), "# vlbench: allow-sync text"


def misspelt_in_a_string(x: torch.Tensor) -> tuple[int, str]:
    return int(x[0]), "# vlbench: allow_sync text"


@pytest.mark.parametrize("code", [in_a_string, misspelt_in_a_string])
def test_a_mark_within_a_string_is_no_comment(code: object) -> None:
    total = counted(code).total
    assert (total.allowed_syncs, total.host_syncs) == (0, 1)


def of_several_lines(x: torch.Tensor) -> int:
    return int(  # vlbench: allow-sync the length is needed
        x[0]
    )


def test_a_comment_in_the_middle_of_an_expression_allows_its_line() -> None:
    total = counted(of_several_lines).total
    assert (total.allowed_syncs, total.host_syncs) == (1, 0)


def test_a_block_around_a_yield_holds_until_it_is_left_and_for_who_iterates() -> None:
    def rows(x: torch.Tensor) -> Iterator[torch.Tensor]:
        with vlbench.allow_sync("meant"):
            yield x

    def code(x: torch.Tensor) -> None:
        for each in rows(x):
            each.tolist()
        x.tolist()

    total = counted(code).total
    assert (total.allowed_syncs, total.host_syncs) == (1, 1)


def test_outside_of_counting_it_costs_no_torch() -> None:
    code = "import sys, vlbench\nwith vlbench.allow_sync('why'): pass\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
