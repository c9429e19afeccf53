"""Towers that are not ours, through the measuring process's work."""

from __future__ import annotations

import pytest
import torch

from tests.towers import toys
from tests.trial.plans import POINT, job
from tests.trial.test_worker import events
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.matrix.targets import model_target, with_handed_in
from vlbench.towers.variants import Variant, parse_variant, tower_variant
from vlbench.trial.job import Checked, Job, Prepared, Round, Stages, Struck, VariantJob
from vlbench.trial.pace import STAGE_CALLS
from vlbench.trial.store import Here
from vlbench.trial.tower_bench import TowerBench
from vlbench.trial.tower_set import TowerSet
from vlbench.workload.scenario import Item

TOYS = "tests.towers.toys"


def towers(*names: str, **fields: object) -> Job:
    """A job over these toys, the first of which is the reference tower."""
    texts = [f"{TOYS}:{name}" for name in names]
    variants = tuple(VariantJob(name=text, flags=(), exactness="reassociated", tower=text) for text in texts)
    asked = {"model": texts[0], "variants": variants, "dtype": "float32", "device": "cpu", "threads": 1, "seed": 0}
    return Job.model_validate(asked | {"point": POINT, "seconds": 0.0} | fields)


def verdicts(asked: Job) -> dict[str, Checked]:
    return {e.variant.removeprefix(f"{TOYS}:"): e for e in events(asked) if isinstance(e, Checked)}


def refusal(*names: str, **fields: object) -> str:
    with pytest.raises(UsageError) as caught:
        events(towers(*names, **fields))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_tower_alone_is_timed_and_its_stages_are_known() -> None:
    emitted = events(towers("staged", seconds=0.05))
    (checked,) = (each for each in emitted if isinstance(each, Checked))
    assert checked.accuracy.passed
    assert checked.first_seconds
    assert checked.counts
    assert any(isinstance(each, Round) for each in emitted)
    rounds = [each for each in emitted if isinstance(each, Stages)]
    assert len(rounds) == STAGE_CALLS
    assert all(each.seconds.keys() == {"forward", "patch_embed", "mlp", "merger"} for each in rounds)


def test_own_weights_are_drawn_alike_in_every_process() -> None:
    """The reference and what is judged are built apart; `staged` draws without a seed of its own."""
    one, other = (TowerSet(towers("staged")).weights for _ in range(2))
    assert [*one] == [*other]
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_others_are_checked_against_the_first(dtype: str) -> None:
    found = verdicts(towers("Toy", "Again", "by_name", "loading", "Wrong", dtype=dtype))
    passed = {name: each.accuracy.passed for name, each in found.items()}
    assert passed == {"Toy": True, "Again": True, "by_name": True, "loading": True, "Wrong": False}
    assert found["Wrong"].accuracy.worst_token


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_large_part_does_not_hide_a_small_one(dtype: str) -> None:
    found = verdicts(towers("Deep", "WrongDeep", "Toy", dtype=dtype))
    assert found["Deep"].accuracy.passed
    wrong = found["WrongDeep"].accuracy
    assert not wrong.passed
    assert wrong.part == "deep"
    assert wrong.reason is not None
    assert wrong.reason.startswith("part 'deep' of the output: error 0.01 in fp32 is above")
    assert found["Toy"].accuracy.reason == "the output lacks the part 'deep'"


def test_a_part_that_goes_wrong_when_it_is_timed_is_named() -> None:
    emitted = events(towers("Deep", "LateDeep", seconds=0.05))
    (struck,) = (each for each in emitted if isinstance(each, Struck))
    assert struck.reason == "part 'deep' of the output of a timed round is wrong: replayed, late, or a stale cache"


def test_other_weights_are_its_own_where_they_do_not_fit() -> None:
    """Fused draws what Toy draws, in the same order."""
    assert verdicts(towers("Toy", "Fused"))["Fused"].accuracy.passed


def test_patches_of_another_size_are_no_stopgap() -> None:
    emitted = events(towers("large_patches"))
    (prepared,) = (each for each in emitted if isinstance(each, Prepared))
    assert prepared.batch == "2 noise images, 48 patches, 48 tokens"


def test_other_cells_are_churned_in_whole_cells() -> None:
    point = POINT.model_copy(update={"item": (Item(grid="8x12"),)})
    emitted = events(towers("wide_merge", point=point, states=("churn",), seconds=0.05))
    assert any(isinstance(each, Round) for each in emitted)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("raises",), "the factory raised RuntimeError: no checkpoint here"),
        (("NoTensor",), f"{TOYS}:NoTensor: it returned a tuple for 48 patches instead of a tensor [12, width]"),
        (("PerPatch",), "it returned a tensor [48, 16] for 48 patches instead of a tensor [12, width]"),
        (("OtherCall",), "it is called with images alone, and says nowhere of what size; return a vlbench.Tower("),
        (("wide_merge",), "it merges 4 x 4 patches, which does not divide a grid of 4x6"),
        (("Toy", "large_patches"), f"{TOYS}:large_patches: its patch_size is 16, that of {TOYS}:Toy 14"),
        (("no_stage",), "stages: the pattern 'layers.*' fits no module of Toy"),
        (("makes_a_list",), "it made a list, not a torch.nn.Module"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_towers_that_cannot_be_measured(names: tuple[str, ...], words: str) -> None:
    assert words in refusal(*names)


def test_a_checkpoint_means_nothing_to_a_foreign_tower() -> None:
    assert "is none of our models and brings its own; leave it out" in refusal("Toy", weights="somewhere")


def with_rows(*variants: Variant) -> Job:
    asked = job()
    rows = tuple(
        VariantJob(name=each.name, flags=each.flags, exactness=str(each.exactness), tower=each.tower)
        for each in variants
    )
    return asked.model_copy(update={"variants": (*asked.variants, *rows)})


def test_peers_are_rows_beside_our_flags() -> None:
    pytest.importorskip("transformers")
    tiny = MODELS["qwen2.5-vl-tiny"]
    found = verdicts(with_rows(*(parse_variant(name, tiny, "cpu") for name in ("hf-sdpa", "hf-eager", "exact"))))
    assert {name: each.accuracy.passed for name, each in found.items()} == dict.fromkeys(
        ("baseline", "hf-sdpa", "hf-eager", "exact"), True
    )
    assert found["hf-eager"].counts
    assert found["hf-eager"].counts.attention_calls == 0


def test_a_tower_without_our_weights_fails_in_a_row_of_its_own() -> None:
    found = verdicts(with_rows(tower_variant(f"{TOYS}:Toy")))
    assert found["baseline"].accuracy.passed
    assert not found["Toy"].accuracy.passed
    assert "is not among the weights" in (found["Toy"].accuracy.reason or "")


def test_another_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"computes qwen2-vl-tiny, not qwen2\.5-vl-tiny; choose the same model"):
        events(with_rows(tower_variant("qwen2-vl-tiny")))


def test_toys_are_named_after_their_factories() -> None:
    assert tower_variant(f"{TOYS}:staged").source == f"{TOYS}:staged"
    assert tower_variant(f"{TOYS}:A_TOWER").source == toys.A_TOWER.source


def test_a_further_instance_is_a_tower_of_its_own_on_the_same_weights() -> None:
    bench = TowerBench(job(), Here())
    (variant,) = bench.job.variants
    checked, subject = bench.check(variant)
    assert checked.accuracy.passed
    assert subject is not None
    towers = [each.run.args[0] for each in (subject, bench.another(variant))]  # type: ignore[attr-defined]
    assert towers[0] is not towers[1]
    one, other = (dict(tower.named_parameters()) for tower in towers)
    assert one.keys() == other.keys()
    assert all(one[name].data_ptr() == other[name].data_ptr() for name in one)
    ours, theirs = subject.run(bench.timed), bench.another(variant).run(bench.timed)
    assert all(torch.equal(ours[part], theirs[part]) for part in ours)


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing", "the factory returned a NoneType"), ("ends", "the factory raised SystemExit: no GPU here")],
)
def test_a_rival_that_cannot_be_made_costs_its_own_row_alone(name: str, words: str) -> None:
    checked = {each.variant: each for each in events(towers("Toy", name, "Toy")) if isinstance(each, Checked)}
    lost = [each.accuracy for each in checked.values() if not each.accuracy.passed]
    assert len(lost) == 1
    assert words in (lost[0].reason or "")
    assert any(each.accuracy.passed for each in checked.values())


def test_a_plan_handed_in_is_made_and_timed_before_the_call() -> None:
    target = with_handed_in(model_target("qwen2.5-vl-tiny", "cpu", None, ["host-seqlens"]))
    emitted = events(job(seconds=0.05, variants=target.variants))
    checked = {each.variant: each for each in emitted if isinstance(each, Checked)}
    assert all(each.accuracy.passed for each in checked.values())
    inside, handed = checked["host-seqlens"].counts, checked["host-seqlens plan=device"].counts
    assert inside
    assert handed
    assert handed.attention_calls == inside.attention_calls
    assert handed.aten_operations < inside.aten_operations - 20
    rounds = [each for each in emitted if isinstance(each, Round)]
    assert rounds
    for each in rounds:
        assert each.plan_seconds.keys() == {"host-seqlens plan=device"}
        assert 0 < each.plan_seconds["host-seqlens plan=device"] < 1
    stages = {each.variant: each.seconds for each in emitted if isinstance(each, Stages)}
    assert "plan" in stages["host-seqlens"]
    assert "plan" not in stages["host-seqlens plan=device"]
