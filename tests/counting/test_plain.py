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


def the_last_element(x: Tensor, i: Tensor) -> None:
    i[-1] = 7


def elements(x: Tensor, i: Tensor) -> None:
    x[i] = 7


def elements_again(x: Tensor, i: Tensor) -> None:
    for _ in range(3):
        i[i.clone()] = 3


def waits(x: Tensor, i: Tensor) -> None:
    torch.cuda.current_stream().synchronize()


def gives_memory_back(x: Tensor, i: Tensor) -> None:
    torch.cuda.empty_cache()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (one_check, "leave the check out, or let the device choose, as torch.where does"),
        (a_number, "make it on the device, torch.full(shape, value, device=...)"),
        (numbers, "make it on the device, torch.full(shape, value, device=...)"),
        (the_last_element, "fill it, y[n].fill_(value)"),
        (an_element, "fill it, y[n].fill_(value)"),
        (elements, "fill by the index, x.index_fill_(0, index, value)"),
        (elements_again, "fill by the index, x.index_fill_(0, index, value)"),
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


def two_numbers(x: Tensor, i: Tensor) -> None:
    torch.tensor([0, len(x)], dtype=torch.int32, device="cuda")


def eight_bytes(x: Tensor, i: Tensor) -> None:
    torch.tensor([1, 2, 3, 4, 5, 6, 7, 8], dtype=torch.uint8, device="cuda")


def a_slice_of_two(x: Tensor, i: Tensor) -> None:
    x[0][0:2] = torch.tensor([1.0, 2.0])


@pytest.mark.parametrize("code", [two_numbers, eight_bytes, a_slice_of_two])
def test_few_bytes_are_not_taken_for_one_value(code: Code) -> None:
    (site,) = sites(code)
    assert site.advice == "upload from pinned memory, with non_blocking=True"


def small_integer(x: Tensor, i: Tensor) -> None:
    x[: i.to(torch.int8)[2].item()]


def changed_in_place(x: Tensor, i: Tensor) -> None:
    total = i.sum()
    for _ in range(3):
        total += 10
        total.item()


def floats_changed_in_place(x: Tensor, i: Tensor) -> None:
    for _ in range(3):
        x.add_(1)
        x.cpu()


def made_anew(x: Tensor, i: Tensor) -> None:
    for _ in range(3):
        x = x + 1
        x.cpu()


@pytest.mark.parametrize("code", [small_integer, changed_in_place, floats_changed_in_place, made_anew])
def test_what_changes_is_not_the_same_and_a_small_integer_is_no_check(code: Code) -> None:
    (site,) = sites(code)
    assert (site.same, site.advice) == ("", "")


def host_tensor_changed_in_place(x: Tensor, i: Tensor) -> None:
    host = torch.zeros(20_000)
    for _ in range(3):
        host[7] += 1
        host.to("cuda")


def test_a_host_tensor_that_changes_is_not_the_same() -> None:
    (site,) = sites(host_tensor_changed_in_place)
    assert (site.same, site.advice) == ("", "upload from pinned memory, with non_blocking=True")


def floats_again(x: Tensor, i: Tensor) -> None:
    for _ in range(3):
        x.cpu()


def test_one_unchanged_tensor_of_floats_is_read_back_once() -> None:
    (site,) = sites(floats_again)
    assert site.advice == "read it back once, before the loop: the same tensor 3 times"


def test_advice_to_fill_is_kept() -> None:
    def filled(x: Tensor, i: Tensor) -> None:
        i[-1].fill_(7)
        assert i.tolist()[-1] == 7

    (site,) = sites(filled)
    assert site.event == "read-back"
    assert sites(lambda x, i: x.index_fill_(0, i, 7)) == ()


def of_stream(x: Tensor, i: Tensor) -> None:
    i.to("cpu", non_blocking=True)
    torch.cuda.current_stream().synchronize()


def of_event(x: Tensor, i: Tensor) -> None:
    i.to("cpu", non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    event.synchronize()


def of_device(x: Tensor, i: Tensor) -> None:
    i.to("cpu", non_blocking=True)
    torch.cuda.synchronize()


def by_giving_memory_back(x: Tensor, i: Tensor) -> None:
    i.to("cpu", non_blocking=True)
    torch.cuda.empty_cache()


def of_an_event_before_it(x: Tensor, i: Tensor) -> None:
    event = torch.cuda.Event()
    event.record()
    i.to("cpu", non_blocking=True)
    event.synchronize()
    torch.cuda.current_stream().synchronize()


def of_a_stream_aside(x: Tensor, i: Tensor) -> None:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        i.to("cpu", non_blocking=True)
    torch.cuda.current_stream().synchronize()
    stream.synchronize()


WAITS = [of_stream, of_event, of_device, by_giving_memory_back, of_an_event_before_it, of_a_stream_aside]


@pytest.mark.parametrize("code", WAITS)
def test_no_wait_that_a_read_back_needs_is_said_to_be_left_out(code: Code) -> None:
    found = [site for site in sites(code) if site.event == "synchronize"]
    assert found
    assert all(site.advice.startswith("keep the values on the host") for site in found)


def test_a_second_wait_is_left_out() -> None:
    def twice(x: Tensor, i: Tensor) -> None:
        of_stream(x, i)
        torch.cuda.synchronize()

    advice = {site.operation: site.advice for site in sites(twice)}
    assert advice["torch.cuda.synchronize"].startswith("leave it out")


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
