from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from vlbench.implementations.output import Parts
from vlbench.process import holder
from vlbench.trial.store import Apart, Here, Store


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    with Apart() as store:
        yield store


@pytest.fixture(params=[Here, Apart])
def store(request: pytest.FixtureRequest, apart: Apart) -> Store:
    return apart if request.param is Apart else Here()


def outputs() -> dict[str, Parts]:
    draw = torch.Generator().manual_seed(0)
    floats = torch.randn(5, 7, generator=draw)
    return {
        "fp32": {"tokens": floats},
        "several": {"tokens": floats.bfloat16(), "deep": floats.half()[None], "grid": torch.arange(6).view(2, 3)},
        "in pieces": {"tokens": floats.T, "every other": floats[::2, ::3]},
        "odd": {"mask": floats > 0, "complex": torch.complex(floats, -floats), "bytes": torch.arange(9).byte()},
        "small": {"scalar": torch.tensor(2.5), "nothing": torch.empty(0, 4)},
        "not finite": {"tokens": torch.tensor([torch.nan, -torch.inf, -0.0])},
        "large": {"tokens": torch.randn(1000, 1000, generator=draw)},
    }


@pytest.mark.parametrize("name", outputs())
@pytest.mark.parametrize("inference", [True, False])
def test_an_output_comes_back_as_it_was_and_its_own_memory_is_poisoned(
    store: Store, name: str, inference: bool
) -> None:
    with torch.inference_mode(inference):
        output, wanted = outputs()[name], outputs()[name]
    found = store.put(output)()
    assert list(found) == list(wanted)
    for part, tensor in wanted.items():
        assert (found[part].dtype, found[part].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(bits(found[part]), bits(tensor))
        assert not (output[part] == tensor).any()


def bits(tensor: Tensor) -> Tensor:
    """What can be compared although NaN equals nothing."""
    return tensor.contiguous().flatten().view(torch.uint8)


def test_what_was_copied_to_be_put_away_is_poisoned_too(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is freed then, and whoever is given that memory next finds nothing in it."""
    handed_over: list[Tensor] = []
    ask = apart._ask

    def asked(does: bytes, figure: int, parts: Sequence[Tensor] = ()) -> int:
        handed_over.extend(parts)
        return ask(does, figure, parts)

    monkeypatch.setattr(apart, "_ask", asked)
    output = outputs()["in pieces"]
    taken = apart.put(output)
    assert [each.unique().tolist() for each in handed_over] == [[0xFF]] * len(output)
    assert torch.equal(taken()["tokens"], outputs()["in pieces"]["tokens"])


def test_outputs_come_back_in_any_order_and_only_once(apart: Apart) -> None:
    first, second = (apart.put({"tokens": torch.full((2, 3), float(number))}) for number in (1, 2))
    assert second()["tokens"].eq(2).all()
    assert first()["tokens"].eq(1).all()


def test_what_was_taken_is_missed() -> None:
    with Apart() as store:
        taken = store.put({"tokens": torch.ones(2)})
        taken()
        with pytest.raises(RuntimeError, match="has ended, or was asked for one twice"):
            taken()
        with pytest.raises(RuntimeError, match="has ended"):
            store.put({"tokens": torch.ones(2)})


def test_while_an_output_is_put_away_the_process_does_not_hold_it(apart: Apart) -> None:
    def holds() -> bool:
        tensors = [each for each in gc.get_objects() if type(each) is Tensor and each.shape == (7, 11, 13)]
        return any(bool((each == 4.25).all()) for each in tensors)

    output = {"tokens": torch.full((7, 11, 13), 4.25)}
    assert holds()
    taken = apart.put(output)
    assert not holds()
    output = taken()
    assert holds()


def test_a_ctrl_c_is_not_sent_to_the_process_of_a_store(apart: Apart) -> None:
    """It goes to a whole group of processes."""
    assert os.getpgid(apart._process.pid) != os.getpgrp()


def test_the_process_of_a_store_ends_with_the_one_that_started_it() -> None:
    code = (
        "import os, signal, subprocess, sys\n"
        f"held = subprocess.Popen([sys.executable, '-I', '-S', {holder.__file__!r}], stdin=-1, stdout=-1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # Its stderr is this pipe, so that to read to the end is to wait for its end.
    killed = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
