from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch

from vlbench.counting_device import CountingDevice
from vlbench.counting_device.operations import SYNCS
from vlbench.counting_device.where import spelled
from vlbench.record.counts import Counts


def loop_of_tolist(x: torch.Tensor, cu: torch.Tensor) -> None:
    for _ in range(5):
        cu.tolist()  # HERE


def item(x: torch.Tensor, cu: torch.Tensor) -> None:
    longest = (cu[1:] - cu[:-1]).max()
    longest.item()  # HERE


def length_left_on_the_device(x: torch.Tensor, cu: torch.Tensor) -> None:
    longest = (cu[1:] - cu[:-1]).max()
    torch.arange(longest, device="cuda")  # HERE


def mask_assignment(x: torch.Tensor, cu: torch.Tensor) -> None:
    mask = torch.arange(len(x), device="cuda") > 1
    x[mask] = x[0].clone()  # HERE


def unpinned_upload(x: torch.Tensor, cu: torch.Tensor) -> None:
    host = torch.arange(4)
    host.to("cuda", non_blocking=True)  # HERE


def host_index(x: torch.Tensor, cu: torch.Tensor) -> None:
    order = torch.arange(4)
    x[order]  # HERE


def branch_on_a_value(x: torch.Tensor, cu: torch.Tensor) -> None:
    if (cu > 3).any():  # HERE
        pass


CODE = [
    loop_of_tolist,
    item,
    length_left_on_the_device,
    mask_assignment,
    unpinned_upload,
    host_index,
    branch_on_a_value,
]


def counts(code: object, mode: str) -> Counts:
    with CountingDevice(mode) as device:  # type: ignore[arg-type]
        x, cu = device.pixels((4, 8), torch.bfloat16), device.upload(torch.tensor([0, 1, 4]))
        with device.count() as counter:
            code(x, cu)  # type: ignore[operator]
    return counter.report


@pytest.mark.parametrize("code", CODE, ids=lambda code: code.__name__)
@pytest.mark.parametrize("mode", ["ghost", "shadow"])
def test_each_sync_is_found_with_its_line(code: object, mode: str) -> None:
    (cause,) = counts(code, mode).causes
    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if _is_marked(text, code, n))
    assert f"test_where.py:{line}: " in str(cause.where)
    assert str(cause.where).endswith("# HERE")
    assert cause.times == (5 if code is loop_of_tolist else 1)
    assert cause.blocking


def _is_marked(text: str, code: object, number: int) -> bool:
    return text.rstrip().endswith("# HERE") and number > code.__code__.co_firstlineno  # type: ignore[attr-defined]


def test_paths_are_as_the_module_spells_them_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_stack"
    package.mkdir()
    (package / "tower.py").write_text(
        textwrap.dedent("""
            def forward(x, cu):
                return cu.max().item()
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(package)  # as if this were the current directory
    from some_stack.tower import forward  # type: ignore[import-not-found]

    assert str(counts(forward, "ghost").causes[0].where) == "some_stack/tower.py:3: return cu.max().item()"


@pytest.mark.parametrize(
    ("file", "module", "name"),
    [
        ("/a/site-packages/pkg/sub/tower.py", "pkg.sub.tower", "pkg/sub/tower.py"),
        ("/a/site-packages/pkg/sub/__init__.py", "pkg.sub", "pkg/sub/__init__.py"),
        ("/a/pkg/sub/tower.py", "head.sub.tower", "sub/tower.py"),  # a second revision, under a name of its own
        ("/a/b/tower.py", "plugin.tower", "tower.py"),
        ("/a/b/tower.py", "__main__", "tower.py"),
        ("<string>", "", "<string>"),
    ],
)
def test_how_files_are_spelled(file: str, module: str, name: str) -> None:
    assert spelled(file, module) == name


def test_every_entry_of_the_table_names_an_operation_and_a_source() -> None:
    for name, sync in SYNCS.items():
        namespace, _, rest = name.partition("::")
        packet, _, overload = rest.partition(".")
        getattr(getattr(getattr(torch.ops, namespace), packet), overload or "default")
        assert "aten/src/ATen" in sync.source
        assert sync.read_backs > 0


@pytest.mark.parametrize(
    "call",
    [
        lambda x: torch.equal(x, x),
        lambda x: torch.equal(x, x[:1]),
        lambda x: torch.unique_consecutive(x[:0]),
        lambda x: torch.repeat_interleave(x, output_size=6),
        lambda x: torch.repeat_interleave(x[:0]),
        lambda x: torch.bincount(x[:0]),
    ],
)
def test_calls_that_need_no_value_do_not_sync(device: CountingDevice, call: object) -> None:
    x = device.upload(torch.tensor([1, 2, 3]))
    with device.count() as counter:
        call(x)  # type: ignore[operator]
    assert counter.report.total.host_syncs == 0


def lengths(x: torch.Tensor) -> list[int]:
    return x.tolist()


def bounds(x: torch.Tensor) -> list[int]:
    return lengths(x)


class Layers(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> None:
        bounds(x)
        for _ in range(3):
            bounds(x)
        [n.item() for n in x]


def test_callers_are_kept_as_far_as_the_first_forward() -> None:
    causes = counts(lambda x, cu: Layers()(cu), "ghost").causes
    assert [(site.times, [each.source for each in (site.where, *site.callers)]) for site in causes] == [
        (1, ["return x.tolist()", "return lengths(x)", "bounds(x)"]),
        (3, ["return x.tolist()", "return lengths(x)", "bounds(x)"]),
        (3, ["[n.item() for n in x]"]),
    ]
    once, in_the_loop = causes[0].callers[-1].line, causes[1].callers[-1].line
    assert once is not None
    assert in_the_loop == once + 2


def condition(x: torch.Tensor, cu: torch.Tensor) -> None:
    if (cu > 3).any():
        cu.add_(1)


def loop(x: torch.Tensor, cu: torch.Tensor) -> None:
    while cu.sum() < 3:
        cu.add_(1)


def claim(x: torch.Tensor, cu: torch.Tensor) -> None:
    assert (cu >= 0).all(), "a length is negative"


def choice(x: torch.Tensor, cu: torch.Tensor) -> None:
    _ = x if cu.any() else cu


@pytest.mark.parametrize(
    ("code", "expression"),
    [(condition, "(cu > 3).any()"), (loop, "cu.sum() < 3"), (claim, "(cu >= 0).all()"), (choice, "cu.any()")],
)
def test_the_expression_is_what_waits_and_not_the_statement_around_it(code: object, expression: str) -> None:
    (cause,) = counts(code, "ghost").causes
    assert cause.expression == expression
