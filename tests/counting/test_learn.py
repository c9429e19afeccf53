"""From counted and profiled forwards to a calibration, and from a calibration back to kernels."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

from tests.export.rendered import shown
from vlbench.counting.calibrate import calibration, installed_cudnn, warned_lines, write_calibration
from vlbench.counting.kernels import find_calibration, kernel_lines, modelled
from vlbench.counting.learn import Pair, learn
from vlbench.counting.trace import Observed, Work, observe
from vlbench.counting_device.counter import Counter
from vlbench.counting_device.where import Cause
from vlbench.errors import UsageError
from vlbench.export.calibrated import calibrated_sheet
from vlbench.record.calibration import read_calibration
from vlbench.record.counted import CountedTower, CountGroup, CountReport, Forward
from vlbench.record.counts import Counts
from vlbench.record.site import Where

TRACE = Path(__file__).parent / "forward_trace.json"
SIZE = 16**6


def counts(*, syncs: int = 2, products: int = 2) -> Counts:
    """What the counting device would make of the forward in the trace."""
    counter = Counter(0)
    counter.transfer("upload", "aten::_to_copy", Cause(Where.parse("tower.py:3: grid.to(device)")), 24)
    for _ in range(syncs - 1):
        counter.transfer("read-back", "aten::_local_scalar_dense", Cause(Where.parse("tower.py:9: n.item()")), 8)
    for _ in range(products):
        counter.operation("aten::addmm", "bfloat16", SIZE)
    counter.operation("aten::clone", "bfloat16", 16**5)
    counter.operation("aten::cat", "list", 16**4)
    counter.close("ghost", "sm_90", "2.13.0")
    return counter.report


WARNED = {"tower.py:3: grid.to(device)": 1, "tower.py:9: n.item()": 1}


def pair(tower: str = "a", found: Counts | None = None, warned: dict[str, int] = WARNED) -> Pair:
    found = found or counts()
    names = {kind.operation for kind in found.kinds}
    observed = observe(json.loads(TRACE.read_text())["traceEvents"], names)
    return Pair(tower, "bfloat16", found, observed, {Where.parse(where): times for where, times in warned.items()})


def test_the_table_has_means_and_extremes() -> None:
    entries = {(entry.operation, entry.dtype): entry for entry in learn([pair().observed])}
    product = entries["aten::addmm", "bfloat16"]
    assert (product.calls, product.kernels, product.least, product.most, product.memsets) == (2, 1.5, 1, 2, 0.5)
    assert product.size == SIZE
    copy = entries["aten::clone", "bfloat16"]
    assert (copy.kernels, copy.memcpys) == (0, 1)


def test_calls_on_tensors_of_the_host_are_neither_learned_nor_a_difference() -> None:
    """A trace names a cat of two lists of lengths as it names one of tokens."""
    seen = pair()
    seen.observed.calls += [Work(("aten::cat", "list", 8)), Work(("aten::arange", "int64", 8))]
    assert {entry.operation for entry in learn([seen.observed])} == {
        entry.operation for entry in learn([pair().observed])
    }
    (check,) = calibration([seen], "NVIDIA H100 80GB HBM3", "sm_90", "2.13.0+cu130").checks
    assert check.calls == {}


def test_a_forward_that_agrees_is_exact() -> None:
    found = calibration([pair()], "NVIDIA H100 80GB HBM3", "sm_90", "2.13.0+cu130")
    (check,) = found.checks
    assert check.exact
    assert check.calls == {}
    assert check.unattributed == {"thirdparty::mystery": 1, "(no operation)": 1}
    assert (check.modelled_kernels, check.kernels) == (4, 6)
    assert found.error == pytest.approx(1 / 3)
    assert not found.out_of_sample


@pytest.mark.parametrize(
    ("found", "warned", "where"),
    [
        (counts(syncs=3), WARNED, "tower.py:9: n.item()"),  # one wait too many is counted
        (counts(), {**WARNED, "tower.py:40: torch.nonzero(x)": 2}, "tower.py:40: torch.nonzero(x)"),  # one is missed
    ],
)
def test_a_wait_that_was_counted_wrongly_is_named(found: Counts, warned: dict[str, int], where: str) -> None:
    (check,) = calibration([pair(found=found, warned=warned)], "G", "sm_90", "2.13.0").checks
    assert not check.exact
    assert [str(line.where) for line in check.lines] == [where]


def test_an_operation_that_was_counted_wrongly_is_named() -> None:
    (check,) = calibration([pair(found=counts(products=3))], "G", "sm_90", "2.13.0").checks
    assert check.calls == {"aten::addmm": (3, 2)}


def test_each_tower_is_modelled_from_the_others() -> None:
    """The second tower's products are one kernel each, which the first one's table does not know."""
    lighter = Observed(calls=[Work(("aten::addmm", "bfloat16", SIZE), kernels=1)] * 2, kernels=2)
    counter = Counter(0)
    for _ in range(2):
        counter.operation("aten::addmm", "bfloat16", SIZE)
    counter.close("ghost", "sm_90", "2.13.0")
    found = calibration([pair(), Pair("b", "bfloat16", counter.report, lighter, {})], "G", "sm_90", "2.13.0")
    assert found.out_of_sample
    assert found.checks[1].modelled_kernels == 3
    assert found.error == pytest.approx(0.5)


def test_what_the_table_lacks_is_assumed_and_said() -> None:
    entries = learn([pair().observed])
    counter = Counter(0)
    counter.operation("aten::addmm", "bfloat16", SIZE)  # known
    counter.operation("aten::addmm", "bfloat16", 16)  # of another size
    counter.operation("aten::mystery", "bfloat16", 16)  # not at all: one kernel
    counter.operation("aten::mystery", "bfloat16", 16)
    counter.close("ghost", "sm_90", "2.13.0")
    found = modelled(counter.report, entries)
    assert found.kernels == 1.5 + 1.5 + 2
    assert found.assumed == 0.75


def report() -> CountReport:
    forward = Forward(counts=counts(), sites=())
    row = CountedTower(name="a", tower="a", cold=forward, warm=forward)
    group = CountGroup(scenario="s", point="", grids=((1, 2, 2),), towers=(row,))
    return CountReport(vlbench="0", profile="sm_90", dtype="bfloat16", groups=(group,), seconds=1, peak_host_bytes=1)


def test_count_uses_the_calibration_of_its_profile_and_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "not calibrated yet for sm_90" in " ".join(kernel_lines(report(), cold=False))
    made = calibration([pair()], "NVIDIA H100 80GB HBM3", "sm_90", "2.13.0+cu130")
    path = write_calibration(made, Path("results/calibration"))
    assert path.name == "nvidia-h100-80gb-hbm3-torch2.13.0.json"
    assert read_calibration(path) == made
    assert find_calibration("sm_90", "2.13.0+cpu") == made
    assert find_calibration("sm_80", "2.13.0") is None
    assert find_calibration("sm_90", "2.14.0") is None
    lines = list(kernel_lines(report(), cold=False))
    assert "NVIDIA H100 80GB HBM3" in lines[0]
    assert "33.3%, in sample" in lines[0]
    assert lines[1] == "  a: 4; 0.0% of its operations are not in the table"


def test_a_damaged_calibration_says_so(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    for text in ("{", '{"schema_version": 7}'):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"gpu\.json: not a calibration .*write it anew"):
            read_calibration(path)


def test_the_table_of_a_calibration_names_every_disagreement() -> None:
    found = calibration([pair(found=counts(syncs=3, products=3))], "G", "sm_90", "2.13.0")
    text = " ".join(shown(calibrated_sheet(found, Path("gpu.json")).parts).split())
    for words in ("3/2", "2 waits counted, 1 warned of", "aten::addmm: 3 calls counted, 2 seen", "thirdparty::mystery"):
        assert words in text


def test_a_gpu_is_counted_with_the_cudnn_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91_501)
    assert installed_cudnn() == "9.15.1"
    found = calibration([pair()], "G", "sm_90", "2.13.0", "9.15.1")
    assert "G, torch 2.13.0, as sm_90 with cuDNN 9.15.1" in shown(calibrated_sheet(found, Path("gpu.json")).parts)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: None)
    with pytest.raises(
        UsageError, match=r"^calibrate: torch has no cuDNN here, and how it attends is known of cuDNN 9"
    ):
        installed_cudnn()
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 8_907)
    with pytest.raises(UsageError, match=r"^calibrate: torch has cuDNN 8.9.7 here"):  # and names no option: it has none
        installed_cudnn()


def syncing() -> None:
    warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=1)  # HERE


def test_warnings_of_syncs_are_put_down_to_lines_and_others_are_shown() -> None:
    def forward() -> None:
        for _ in range(3):
            syncing()
        warnings.warn("something else", UserWarning, stacklevel=1)

    with warnings.catch_warnings(record=True) as shown, warned_lines() as lines:
        forward()
    assert [str(each.message) for each in shown] == ["something else"]
    ((where, times),) = lines.items()
    assert times == 3
    assert "test_learn.py" in str(where)
    assert str(where).endswith("# HERE")
