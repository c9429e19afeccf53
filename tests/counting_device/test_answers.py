from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from vlbench.counting_device import PROFILES, CountingDevice
from vlbench.errors import UsageError


class AsksFirst(nn.Module):
    """Takes another path on CUDA, as serving code does."""

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda and torch.cuda.get_device_capability() >= (9, 0):
            return x * 2 + 1
        return x


def test_code_that_asks_takes_its_cuda_branch_and_the_question_is_listed(device: CountingDevice) -> None:
    x = device.upload(torch.ones(3))
    with device.count() as counter:
        AsksFirst()(x)
    report = counter.report
    assert report.total.device_operations == 2
    listed = {(question.question, question.answer) for question in report.questions}
    assert listed == {("Tensor.is_cuda", "True"), ("torch.cuda.get_device_capability()", "(9, 0)")}
    assert all("test_answers.py" in str(question.where) for question in report.questions)


@pytest.mark.parametrize("name", PROFILES)
def test_answers_follow_the_profile(name: str) -> None:
    profile = PROFILES[name]
    with CountingDevice("ghost", name) as device:
        assert torch.cuda.is_available()
        assert torch.cuda.device_count() == 1
        assert torch.cuda.current_device() == 0
        assert torch.cuda.get_device_capability() == profile.capability
        assert torch.cuda.get_device_name(0) == profile.name
        assert torch.cuda.get_device_properties("cuda").multi_processor_count == profile.multi_processor_count
        assert torch.cuda.is_bf16_supported(including_emulation=False) is (profile.major >= 8)
        assert torch.cuda.is_initialized()
        assert torch.backends.cudnn.version() == 91_900
        assert torch.accelerator.current_accelerator() == torch.device("cuda")
        x = device.upload(torch.ones(2))
        assert x.device.type == "cuda"
        assert x.get_device() == 0
        assert not x.is_cpu
        assert len(device.questions) == 12


def test_the_runtime_below_torch_is_counted(device: CountingDevice) -> None:
    cudart = torch.cuda.cudart()
    with device.count() as counter:
        torch.cuda.check_error(cudart.cudaProfilerStart())
        assert cudart.cudaGetErrorString(cudart.cudaError.success) == "no error"
        free, total = cudart.cudaMemGetInfo(0)
        assert 0 < free <= total
        cudart.cudaDeviceSynchronize()
        cudart.cudaStreamSynchronize(0)
        torch._C._cuda_synchronize()
    assert counter.report.total.host_syncs == 3
    assert {cause.operation for cause in counter.report.causes if cause.event == "synchronize"} == {
        "torch.cuda.cudart().cudaDeviceSynchronize",
        "torch.cuda.cudart().cudaStreamSynchronize",
        "torch._C._cuda_synchronize",
    }
    assert not hasattr(cudart, "__wrapped__")


def test_torch_asking_itself_is_not_listed(device: CountingDevice) -> None:
    with torch.autocast("cuda", dtype=torch.bfloat16):
        torch.manual_seed(0)
    assert device.questions == ()


def test_all_is_as_before_afterwards() -> None:
    names = (
        "_cudart",
        "is_available",
        "get_device_capability",
        "_lazy_init",
        "synchronize",
        "Stream",
        "is_initialized",
    )
    before = [getattr(torch.cuda, name) for name in names] + [torch.compile, torch.tensor]
    with pytest.raises(ZeroDivisionError), CountingDevice("ghost"):
        raise ZeroDivisionError
    assert [getattr(torch.cuda, name) for name in names] + [torch.compile, torch.tensor] == before
    if not torch.cuda.is_available():
        with pytest.raises((AssertionError, RuntimeError)):
            torch.zeros(1, device="cuda")
    assert torch.nn.functional.rms_norm(torch.ones(2, 4), (4,)).device.type == "cpu"


@pytest.mark.parametrize(
    "wait",
    [
        lambda: torch.cuda.synchronize(),
        lambda: torch.accelerator.synchronize(),
        lambda: torch.cuda.current_stream().synchronize(),
        lambda: torch.cuda.Event().synchronize(),
        lambda: torch.accelerator.current_stream().synchronize(),
        lambda: torch.Stream(device="cuda").synchronize(),
        lambda: torch.Event(device="cuda").synchronize(),
    ],
)
def test_waiting_is_a_sync(device: CountingDevice, wait: object) -> None:
    with device.count() as counter:
        wait()  # type: ignore[operator]
    assert counter.report.total.host_syncs == 1
    assert counter.report.causes[0].event == "synchronize"


def test_streams_and_events_order_without_waiting(device: CountingDevice) -> None:
    side = torch.cuda.Stream()
    x = device.upload(torch.ones(2))
    with device.count() as counter:
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            y = x + 1
            y.record_stream(side)
        done = side.record_event()
        torch.cuda.current_stream().wait_event(done)
        done.query()  # whoever asks once goes on with other work
    assert counter.report.total.host_syncs == 0
    assert counter.report.total.device_operations == 1
    with pytest.raises(UsageError, match="elapsed_time"):
        done.elapsed_time(done)


def test_asking_an_event_until_it_is_done_is_a_wait(device: CountingDevice) -> None:
    with device.count() as counter:
        done = torch.cuda.Event()
        for _ in range(3):
            done.record()
            while not done.query():
                pass
    assert counter.report.total.host_syncs == 3


def test_asking_a_stream_until_it_is_done_is_a_wait(device: CountingDevice) -> None:
    x = device.upload(torch.ones(2))
    stream = torch.cuda.current_stream()
    with device.count() as counter:
        x = x + 1
        while not stream.query():
            pass
        assert stream.query()
        for _ in range(3):  # whoever asks once goes on with other work
            x = x + 1
            assert not stream.query()
        torch.cuda.synchronize()
        assert stream.query()
    assert counter.report.total.host_syncs == 2
    assert counter.report.causes[0].operation == "torch.cuda.Stream.query"


def test_an_event_that_was_waited_for_is_done_and_stays_so(device: CountingDevice) -> None:
    done, never = torch.cuda.Event(), torch.cuda.Event()
    events = [torch.cuda.Event() for _ in range(12)]
    with device.count() as counter:
        assert never.query()
        done.record()
        torch.cuda.synchronize()
        assert done.query()
        assert done.query()
        for each in events:
            each.record()
        while not all(each.query() for each in events):
            pass
    assert counter.report.total.host_syncs == 2


def test_emptying_the_cache_waits(device: CountingDevice) -> None:
    with device.count() as counter:
        torch.cuda.empty_cache()
    assert counter.report.total.host_syncs == 1


def test_torch_says_that_it_was_built_for_cuda(device: CountingDevice) -> None:
    assert torch.version.cuda is not None


def test_ranges_and_device_blocks_pass(device: CountingDevice) -> None:
    x = device.upload(torch.ones(2))
    with device.count() as counter, torch.cuda.device(x.device), torch.cuda.nvtx.range("block"):
        x + 1
    assert counter.report.total.device_operations == 1
    assert counter.report.total.host_syncs == 0


def test_compiled_code_is_named_as_not_measured(device: CountingDevice) -> None:
    x = device.upload(torch.ones(2))

    @torch.compile(fullgraph=True)
    def double(x: Tensor) -> Tensor:
        return x * 2

    module, method = torch.compile(AsksFirst()), torch.compile(AsksFirst().forward)
    for call, name in (
        (lambda: module(x), "AsksFirst"),
        (lambda: method(x), "AsksFirst.forward"),
        (lambda: double(x), "double"),
    ):
        with device.count() as counter:
            call()
        assert not counter.report.complete
        assert re.match(rf"torch.compile: \S*\b{re.escape(name)} ran eagerly", counter.report.not_measured[0])


def test_code_that_is_compiled_and_not_run_spoils_no_count(device: CountingDevice) -> None:
    x = device.upload(torch.ones(2))
    double, module = torch.compile(lambda x: x * 2), torch.compile(AsksFirst())
    double(x)  # while it builds
    with device.count() as counter:
        x.add(1)
    assert counter.report.complete
    assert isinstance(module, torch.nn.Module)


def test_a_compiled_module_has_all_that_the_module_has(device: CountingDevice) -> None:
    module = torch.compile(torch.nn.Linear(2, 3))
    assert (module.out_features, sorted(module.state_dict())) == (3, ["_orig_mod.bias", "_orig_mod.weight"])
    assert module.to("cuda").weight.device.type == "cuda"


def test_what_was_compiled_before_is_named_too() -> None:
    def double(x: Tensor) -> Tensor:
        return x * 2

    double = torch.compile(double, backend="eager")
    with CountingDevice("shadow") as device, device.count() as counter:
        double(device.upload(torch.ones(2)))
    assert "double ran eagerly" in counter.report.not_measured[0]
    assert counter.report.total.device_operations == 1


def test_memory_is_what_lives_on_the_device(device: CountingDevice) -> None:
    x = device.upload(torch.ones(256))
    assert torch.cuda.memory_allocated() == 1024
    free, total = torch.cuda.mem_get_info()
    assert total - free == 1024
    view = x[1:]
    del x
    assert torch.cuda.memory_allocated() == 1024
    del view
    assert torch.cuda.memory_allocated() == 0


def test_unknown_profile_and_mode_are_refused() -> None:
    with pytest.raises(UsageError, match="--as sm_13: no such GPU profile; choose one of sm_75"):
        CountingDevice("ghost", "sm_13")
    with pytest.raises(UsageError, match="choose 'shadow' or 'ghost'"):
        CountingDevice("spectre")  # type: ignore[arg-type]


def test_the_generator_can_be_forked_and_seeded(device: CountingDevice) -> None:
    before = torch.get_rng_state()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        torch.nn.Linear(2, 2, device="cuda")
    assert torch.equal(torch.get_rng_state(), before)
