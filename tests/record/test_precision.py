from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vlbench.errors import UsageError
from vlbench.record import precision
from vlbench.record.precision import IEEE, LIBRARIES, OVERRIDE, precisions, tf32_turned_off, turn_tf32_off


@pytest.fixture(autouse=True)
def as_torch_starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(OVERRIDE, raising=False)
    start = dict.fromkeys(("all", *LIBRARIES), "none") | {"cudnn.conv": "tf32", "cudnn.rnn": "tf32"}
    precision._turn("highest", start, cudnn=True)
    yield
    monkeypatch.undo()
    precision._turn("highest", start, cudnn=True)


def turn_on(name: str) -> None:
    """By the newer switch of a library, or of all."""
    owner: Any = attrgetter(name)(torch.backends) if name else torch.backends
    owner.fp32_precision = "tf32"


TURNED_ON: dict[str, Callable[[], object]] = {
    "nobody": lambda: None,
    "the old switch of products": lambda: torch.set_float32_matmul_precision("medium"),
    "the old switch of cuDNN": lambda: setattr(torch.backends.cudnn, "allow_tf32", True),
    **{f"the new switch of {name or 'all'}": lambda name=name: turn_on(name) for name in ("", *LIBRARIES)},
}


@pytest.mark.parametrize("who", TURNED_ON)
def test_fp32_is_ieee_whoever_turned_tf32_on_and_the_older_switches_agree(who: str) -> None:
    TURNED_ON[who]()
    turn_tf32_off()
    assert precisions() == dict.fromkeys(("all", *LIBRARIES), IEEE)
    # torch.compile asks these, and torch raises where they disagree with the newer.
    assert torch.get_float32_matmul_precision() == "highest"
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (False, False)


def test_convolutions_inherit_nothing_afterwards() -> None:
    turn_tf32_off()
    turn_on("")
    assert precisions() == {"all": "tf32"} | dict.fromkeys(LIBRARIES, IEEE)


@pytest.mark.parametrize("who", TURNED_ON)
def test_afterwards_it_is_as_it_was(who: str) -> None:
    TURNED_ON[who]()
    before = precisions()
    with tf32_turned_off():
        assert set(precisions().values()) == {IEEE}
    assert precisions() == before
    if who.startswith("the old"):
        assert torch.get_float32_matmul_precision() == ("medium" if "products" in who else "highest")
        assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("value", "gpu", "refused"), [("1", True, True), ("0", True, False), ("1", False, False)])
def test_what_no_switch_can_turn_off_is_refused_where_it_says_something(
    monkeypatch: pytest.MonkeyPatch, value: str, gpu: bool, refused: bool
) -> None:
    monkeypatch.setenv(OVERRIDE, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    if refused:
        with pytest.raises(UsageError, match=f"^{OVERRIDE} makes .* in TF32, whatever torch says; unset it$"):
            turn_tf32_off()
    else:
        turn_tf32_off()


class Stubborn:
    @property
    def fp32_precision(self) -> str:
        return "tf32"

    @fp32_precision.setter
    def fp32_precision(self, wanted: str) -> None:
        pass


def test_a_torch_that_does_not_obey_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = precision._owners() | {"cudnn.conv": Stubborn()}
    monkeypatch.setattr(precision, "_owners", lambda: owners)
    with pytest.raises(UsageError, match=r"computes fp32 of cudnn\.conv in tf32, though it was told not to"):
        turn_tf32_off()


def test_a_torch_without_these_switches_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "backends", SimpleNamespace())
    with pytest.raises(UsageError, match=r"has no torch\.backends\.fp32_precision; install 2\.11 or later"):
        turn_tf32_off()
