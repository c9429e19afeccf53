from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from vlbench.api.running import FEW, _notes
from vlbench.errors import UsageError
from vlbench.matrix.targets import Target, ablated, model_target, targets_of
from vlbench.towers.variants import default_variants, unique, variants_on_cuda


@pytest.fixture
def on_cuda() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        yield


def told(target: Target) -> tuple[str, ...]:
    return _notes([("small", [], target)])


@pytest.mark.usefixtures("on_cuda")
def test_on_cuda_the_few_rows_that_are_timed_say_how_to_ask_for_others() -> None:
    target = model_target(None, "auto", None, (), few=True)
    assert (target.model, target.dtype, target.device) == ("qwen2.5-vl-7b", "bfloat16", "cuda")
    assert target.variants == unique(variants_on_cuda(target.config)[0])  # type: ignore[arg-type]
    assert told(target)[0] == FEW
    assert "--with FLAG" in FEW
    assert "--ablate leave-one-out" in FEW


@pytest.mark.usefixtures("on_cuda")
def test_on_cuda_all_rows_are_there_where_nothing_is_timed_or_something_is_named() -> None:
    target = model_target(None, "cuda", None, ())
    assert target.variants == unique(default_variants(target.config, "cuda")[0])  # type: ignore[arg-type]
    named = model_target(None, "cuda", None, ["pinned-h2d"], few=True)
    assert [each.name for each in named.variants] == ["baseline", "pinned-h2d"]
    apart = ablated(model_target(None, "cuda", None, (), few=True), "leave-one-out")
    for each in (target, named, apart):
        assert FEW not in told(each)
        assert not each.few


def test_on_a_cpu_rows_are_what_they_were() -> None:
    target = model_target(None, "cpu", None, (), few=True)
    assert target.variants == unique(default_variants(target.config, "cpu")[0])  # type: ignore[arg-type]
    assert (target.few, FEW in told(target)) == (False, False)


def test_rows_with_a_plan_handed_in_are_held_against_their_own_tower() -> None:
    (target,) = targets_of([], [], ["rope-cache", "host-seqlens"], None, None, "cpu", [None], plan=True)
    assert [(each.name, each.plan, each.reference, each.flags) for each in target.variants] == [
        ("baseline", "inside", "baseline", None),
        ("rope-cache", "inside", "baseline", ("rope-cache",)),
        ("rope-cache plan=device", "device", "rope-cache", ("rope-cache",)),
        ("rope-cache plan=host", "host", "rope-cache", ("rope-cache",)),
        ("host-seqlens", "inside", "baseline", ("host-seqlens",)),
        ("host-seqlens plan=device", "device", "host-seqlens", ("host-seqlens",)),
    ]
    assert "A plan handed in is not offered by baseline." in told(target)


def test_of_one_tower_the_first_is_the_one_that_makes_its_own() -> None:
    (target,) = targets_of([], ["qwen2.5-vl-tiny+rope-cache"], [], None, None, "cpu", [None], plan=True)
    first, *others = target.variants
    assert (first.flags, first.plan) == (None, "inside")
    assert [(each.plan, each.flags, each.tower, each.reference) for each in others] == [
        ("device", (), first.name, first.name),
        ("host", (), first.name, first.name),
    ]


def test_best_is_what_a_plan_is_handed_in_to_by_default() -> None:
    (target,) = targets_of([], [], [], None, None, "cpu", [None], few=True, plan=True)
    assert [each.name for each in target.variants] == ["baseline", "best", "best plan=device"]


@pytest.mark.parametrize(
    ("towers", "variants", "ablation", "words"),
    [
        (
            [],
            ["baseline"],
            None,
            "--plan: handing a plan in is not offered by baseline; name a tower of ours with flags",
        ),
        (["tests.towers.toys:Toy"], [], None, "is not offered by tests.towers.toys:Toy; name a tower of ours"),
        ([], ["best"], "add-one", "--ablate takes one variant apart, and --plan adds rows to each; leave one of them"),
    ],
)
def test_a_plan_that_nothing_takes_is_refused(
    towers: list[str], variants: list[str], ablation: str | None, words: str
) -> None:
    with pytest.raises(UsageError) as refused:
        targets_of([], towers, variants, ablation, None, "cpu", [None], plan=True)
    assert words in str(refused.value)
