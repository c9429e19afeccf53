"""The measuring process's work, done in this one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.trial.plans import MODEL, job, plan
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness
from vlbench.implementations.optimized.layout import Layout, layout
from vlbench.implementations.weights import CheckpointError, random_weights
from vlbench.record.precision import precisions, tf32_turned_off
from vlbench.trial.job import (
    Checked,
    Estimated,
    Event,
    FedIn,
    Finished,
    Job,
    Loaded,
    Prepared,
    Round,
    Stages,
    Struck,
    VariantJob,
    job_of,
)
from vlbench.trial.pace import STAGE_CALLS
from vlbench.trial.worker import run_job
from vlbench.workload.scenario import Item, ScenarioPoint


def events(job: Job) -> list[Event]:
    emitted: list[Event] = []
    run_job(job, emitted.append)
    return emitted


def test_the_events_of_a_job_come_in_order() -> None:
    emitted = events(job("host-grid", seconds=0.05))
    kinds = list(dict.fromkeys(type(event) for event in emitted))
    assert kinds == [FedIn, Prepared, Checked, Estimated, Round, Loaded, Stages, Finished]
    names = [event.variant for event in emitted if isinstance(event, Checked)]
    assert names == ["baseline", "host-grid"]
    assert all(list(event.seconds) == names for event in emitted if isinstance(event, Round))


def test_without_time_there_are_no_rounds() -> None:
    kinds = {type(event) for event in events(job())}
    assert kinds == {FedIn, Prepared, Checked, Estimated, Finished}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_checked_in_fp32_and_in_itself(dtype: str) -> None:
    emitted = events(job("exact", dtype=dtype))
    for event in emitted:
        if isinstance(event, Checked):
            assert event.accuracy.passed, event
            assert event.accuracy.timed_error is not None


def test_the_reference_tower_and_the_tower_without_flags_are_equal_and_ask_for_the_same() -> None:
    asked = job()
    plain = VariantJob(name="no flags", flags=(), exactness="bit-exact")
    checks = [e for e in events(with_variants(asked, *asked.variants, plain)) if isinstance(e, Checked)]
    assert [check.accuracy.passed for check in checks] == [True, True]
    assert checks[0].counts == checks[1].counts


CALLS_OF_A_CHECK = 11
"""The first, two on each of four inputs, one to warm the caches, one that is counted."""


def with_variants(asked: Job, *variants: VariantJob) -> Job:
    return asked.model_copy(update={"variants": variants})


@contextmanager
def flag(name: str, way: Callable[[], object]) -> Iterator[VariantJob]:
    """A flag that this process knows for a while."""
    layout.optimization(name, removes="nothing", exactness=Exactness.BIT_EXACT, source="a test")(way)  # type: ignore[arg-type]
    try:
        yield VariantJob(name=name, flags=(name,), exactness="bit-exact")
    finally:
        del OPTIMIZATIONS[name], layout._flags[name]


class OwnBuffer(Layout):
    """Right, with memory of its own that every call writes anew, as a replayed graph does."""

    def __init__(self) -> None:
        self.buffers: dict[torch.Size, Tensor] = {}

    def merge(self, x: Tensor) -> Tensor:
        merged = super().merge(x)
        return torch.add(merged, 0, out=self.buffers.setdefault(merged.shape, torch.empty_like(merged)))


def test_a_variant_that_writes_into_its_own_buffer_is_checked_and_counted() -> None:
    with flag("own-buffer", OwnBuffer) as own:
        asked = job()
        emitted = events(with_variants(asked, *asked.variants, own))
    assert [event.accuracy.passed for event in emitted if isinstance(event, Checked)] == [True, True]


class FailsLate(Layout):
    """Right in its checks, and out of memory once it is timed."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def merge(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise MemoryError
        return super().merge(x)


def marked_last(calls: int) -> str:
    """Who was named last, when a variant between two others fails after so many calls."""
    marks: list[str] = []
    asked = job("host-grid", seconds=0.05)
    with flag("fails-late", lambda: FailsLate(calls)) as late:
        asked = with_variants(asked, asked.variants[0], late, asked.variants[1])
        with pytest.raises(MemoryError):
            run_job(asked, lambda event: None, marks.append)
    return marks[-1]


def test_a_variant_that_fails_in_its_warm_up_is_the_last_that_was_named() -> None:
    assert marked_last(calls=CALLS_OF_A_CHECK + 1) == "fails-late"


class Replays(Layout):
    """Right until it was checked: a graph that is captured then, and replayed on what it was captured with."""

    def __init__(self) -> None:
        self.kept: dict[torch.Size, Tensor] = {}
        self.left = CALLS_OF_A_CHECK

    def merge(self, x: Tensor) -> Tensor:
        self.left -= 1
        return super().merge(x) if self.left >= 0 else self.kept.setdefault(x.shape, super().merge(x)).clone()


def test_a_variant_that_replays_old_results_passes_its_check_and_is_struck_when_it_is_timed() -> None:
    with flag("replays", Replays) as replays:
        asked = job(seconds=0.05)
        emitted = events(with_variants(asked, *asked.variants, replays))
    assert [event.accuracy.passed for event in emitted if isinstance(event, Checked)] == [True, True]
    (struck,) = [event for event in emitted if isinstance(event, Struck)]
    assert struck.variant == "replays"
    assert "the output of a timed round is wrong" in struck.reason
    assert [event.variant for event in emitted if isinstance(event, Stages)] == ["baseline"] * STAGE_CALLS


class TurnsTf32On(Layout):
    """Right, and every product after it would be less exact."""

    def merge(self, x: Tensor) -> Tensor:
        torch.backends.fp32_precision = "tf32"
        torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
        return super().merge(x)


class NotesPrecision(Layout):
    seen: ClassVar[Counter[tuple[str, ...]]] = Counter()

    def merge(self, x: Tensor) -> Tensor:
        self.seen[tuple(sorted(set(precisions().values())))] += 1
        return super().merge(x)


def test_a_tower_that_turns_tf32_on_turns_it_on_for_nobody_else() -> None:
    with tf32_turned_off(), flag("turns-tf32-on", TurnsTf32On) as on, flag("notes-precision", NotesPrecision) as notes:
        asked = job(seconds=0.05)
        events(with_variants(asked, asked.variants[0], on, notes))
    assert set(NotesPrecision.seen) == {("ieee",)}
    assert NotesPrecision.seen["ieee",] > CALLS_OF_A_CHECK


# Checkpoints and pictures that cannot be used.


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder as Hugging Face has it, with the language model's tensors beside the tower's."""
    tensors = {f"model.visual.{key}": value for key, value in random_weights(MODELS[MODEL]).items()}
    save_file({**tensors, "model.language_model.norm.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    return tmp_path


def test_a_checkpoint_gives_the_weights(checkpoint: Path) -> None:
    emitted = events(job("host-grid", weights=checkpoint))
    assert [event.accuracy.passed for event in emitted if isinstance(event, Checked)] == [True, True]


def test_a_truncated_checkpoint_is_refused(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged safetensors file .*; download it again"):
        events(job(weights=checkpoint))


def test_a_checkpoint_without_some_keys_is_refused(checkpoint: Path) -> None:
    tensors = {f"visual.{key}": value for key, value in random_weights(MODELS[MODEL]).items()}
    del tensors["visual.merger.ln_q.weight"]
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"not 'merger\.ln_q\.weight' \(1 of \d+ missing\)"):
        events(job(weights=checkpoint))


def test_another_models_checkpoint_is_refused(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="choose the model"):
        events(job(model="qwen2-vl-tiny", weights=checkpoint))


PHOTO = ScenarioPoint(scenario="s", item=(Item(size="56x56"),))


def test_own_pictures_are_fed_in(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (80, 80), "red").save(tmp_path / "red.png")
    emitted = events(job(point=PHOTO, images=(tmp_path / "red.png",)))
    assert isinstance(emitted[1], Prepared)
    assert emitted[1].batch == "1 photo, 16 patches, 4 tokens"


def test_a_text_file_is_not_a_picture(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    with pytest.raises(UsageError, match=r"is not a picture that can be read .*; save it as JPEG or PNG"):
        events(job(point=PHOTO, images=(text,)))


def test_noise_takes_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="feeds noise and takes no pictures"):
        events(job(images=(tmp_path / "a.png",)))


def test_a_job_has_the_variants_that_are_asked_for_in_the_plans_order() -> None:
    made = plan("classic", "host-grid", seed=3)
    asked = job_of(made, 2, 1.5, ["host-grid", "baseline"])
    assert [variant.name for variant in asked.variants] == ["baseline", "host-grid"]
    assert (asked.trial, asked.seconds, asked.seed) == (2, 1.5, 3)
