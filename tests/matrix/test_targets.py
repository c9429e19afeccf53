from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from vlbench.api.running import FEW, _notes
from vlbench.matrix.targets import ablated, model_target
from vlbench.towers.variants import default_variants, unique, variants_on_cuda


@pytest.fixture
def on_cuda() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        yield


@pytest.mark.usefixtures("on_cuda")
def test_on_cuda_the_few_rows_that_are_timed_say_how_to_ask_for_others() -> None:
    target = model_target(None, "auto", None, (), few=True)
    assert (target.model, target.dtype, target.device) == ("qwen2.5-vl-7b", "bfloat16", "cuda")
    assert target.variants == unique(variants_on_cuda(target.config)[0])  # type: ignore[arg-type]
    assert _notes([target])[0] == FEW
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
        assert FEW not in _notes([each])
        assert not each.few


def test_on_a_cpu_rows_are_what_they_were() -> None:
    target = model_target(None, "cpu", None, (), few=True)
    assert target.variants == unique(default_variants(target.config, "cpu")[0])  # type: ignore[arg-type]
    assert (target.few, FEW in _notes([target])) == (False, False)
