"""Advice by what was seen: copies that repeat each other, elements one by one, questions in a loop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vlbench.counting.advice import sites_of
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.allowed import allow_sync

Code = Callable[[Tensor, Tensor], None]


def one_upload(x: Tensor, i: Tensor) -> None:
    order = torch.arange(5)
    for _ in range(64):
        order.to("cuda")


def made_again(x: Tensor, i: Tensor) -> None:
    for _ in range(8):
        torch.tensor([3, 1, 2], device="cuda")


def host_index(x: Tensor, i: Tensor) -> None:
    order = torch.arange(4)
    for _ in range(4):
        x[order]


def one_read_back(x: Tensor, i: Tensor) -> None:
    for _ in range(8):
        i.sum(0, keepdim=True).cpu()


def by_element(x: Tensor, i: Tensor) -> None:
    for n in i:
        n.item()


def finite_in_every_layer(x: Tensor, i: Tensor) -> None:
    for layer in range(4):
        if not torch.isfinite(x + layer).all():
            raise FloatingPointError(layer)


def one_check(x: Tensor, i: Tensor) -> None:
    if torch.isnan(x).any():
        raise FloatingPointError


def a_number(x: Tensor, i: Tensor) -> None:
    torch.tensor(0.5, device="cuda")


def numbers(x: Tensor, i: Tensor) -> None:
    for n in range(3):
        torch.tensor([n], device="cuda")


def an_element(x: Tensor, i: Tensor) -> None:
    i[0] = 7


def waits(x: Tensor, i: Tensor) -> None:
    torch.cuda.current_stream().synchronize()


def gives_memory_back(x: Tensor, i: Tensor) -> None:
    torch.cuda.empty_cache()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (one_check, "leave the check out, or let the device choose, as torch.where does"),
        (a_number, "make it on the device, torch.full((), value, device=...)"),
        (numbers, "make it on the device, torch.full((), value, device=...)"),
        (an_element, "write a slice of one, [n : n + 1] = value"),
        (waits, "leave it out: a stream works in order"),
        (gives_memory_back, "leave it out: freed memory is used again without it"),
        (one_upload, "send it once, before the loop: the same tensor 64 times"),
        (made_again, "send it once, before the loop: the same values 8 times"),
        (host_index, "send it once, before the loop: the same tensor 4 times"),
        (one_read_back, "read it back once, before the loop: the same values 8 times"),
        (by_element, "read the tensor back once with .tolist(): its elements come one by one"),
        (finite_in_every_layer, "leave the check out, or gather the answers on the device and ask once"),
    ],
)
def test_the_cause_is_named_and_no_flag_that_treats_the_symptom(code: Code, words: str) -> None:
    (site,) = sites(code)
    assert site.advice.startswith(words)
    assert "pinned-h2d" not in site.flags


def different(x: Tensor, i: Tensor) -> None:
    for n in range(3):
        torch.full((2,), n).to("cuda")


def test_different_uploads_are_not_said_to_be_one() -> None:
    (site,) = sites(different)
    assert (site.same, site.advice) == ("", "upload from pinned memory, with non_blocking=True")


def counted_by_python(x: Tensor, i: Tensor) -> None:
    i.new_full((len(x),), 1).sum().item()


def test_a_call_of_len_names_no_lengths() -> None:
    (site,) = sites(counted_by_python)
    assert site.advice == ""


@pytest.mark.parametrize("code", [finite_in_every_layer, one_upload, different])
def test_what_is_allowed_has_neither_advice_nor_flags(code: Code) -> None:
    def allowed(x: Tensor, i: Tensor) -> None:
        with allow_sync("meant"):
            code(x, i)

    (site,) = sites(allowed)
    assert (site.allowed, site.advice, site.flags) == ("meant", "", ())


def sites(code: Code):  # type: ignore[no-untyped-def]
    with CountingDevice("ghost") as device, torch.inference_mode():
        x, i = device.pixels((4, 8), torch.float32), device.upload(torch.arange(5))
        with device.count() as counter:
            code(x, i)
    return sites_of(counter.report)
