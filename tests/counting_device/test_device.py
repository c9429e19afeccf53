from __future__ import annotations

import copy
import io
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlbench.counting_device import CountingDevice
from vlbench.counting_device.scope import Mode
from vlbench.errors import UsageError
from vlbench.record.counts import Counts, Tally


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(8, 8)
        self.register_buffer("order", torch.tensor([1, 0]))
        self.order: Tensor

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = self.proj(x[self.order])
        return F.silu(x)[: int(lengths.max())]


def call(module: nn.Module, device: CountingDevice) -> Tensor:
    result: Tensor = module(device.pixels((2, 8), torch.bfloat16), device.upload(torch.tensor([1, 2])))
    return result


def counted(mode: Mode, profile: str) -> Counts:
    """Of a second call."""
    with CountingDevice(mode, profile) as device, torch.inference_mode():
        module = device.build(lambda: Small().to(torch.bfloat16))
        call(module, device)
        with device.count() as counter:
            call(module, device)
    return counter.report


def test_both_modes_count_alike() -> None:
    ghost, shadow = counted("ghost", "sm_90"), counted("shadow", "sm_80")
    assert ghost.operations == {"aten::index.Tensor": 1, "aten::addmm": 1, "aten::silu": 1, "aten::max": 1}
    assert ghost.total == shadow.total
    assert (ghost.key.mode, ghost.key.profile, ghost.key.dtype) == ("ghost", "sm_90", "bfloat16")
    assert ghost.key.torch_version == torch.__version__.partition("+")[0]
    assert ghost.complete
    (cause,) = ghost.causes
    assert str(cause.where).endswith("return F.silu(x)[: int(lengths.max())]")
    assert str(cause.where).startswith(("tests/counting_device/test_device.py:", "test_device.py:"))


def test_ghost_weights_take_no_memory() -> None:
    with CountingDevice("ghost") as device:
        module = device.build(lambda: nn.Linear(1 << 18, 1 << 18))  # 256 GiB
        with device.count() as counter:
            assert module(device.pixels((1, 1 << 18), torch.float32)).shape == (1, 1 << 18)
    assert counter.report.live_bytes_before > 2**38


def test_ghost_buffers_of_integers_are_known() -> None:
    with CountingDevice("ghost") as device:
        assert device.build(Small).order.tolist() == [1, 0]


def test_shadow_moves_a_module_that_was_made_on_the_cpu() -> None:
    torch.manual_seed(0)
    plain = Small()
    torch.manual_seed(0)
    with CountingDevice("shadow") as device:
        built = device.build(Small)
        assert all(isinstance(parameter, nn.Parameter) and parameter.is_cuda for parameter in built.parameters())
        assert torch.equal(device.download(built.proj.weight), plain.proj.weight)


def test_shared_parameters_stay_shared_when_moved(device: CountingDevice) -> None:
    module = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    module[1].weight = module[0].weight
    module.to("cuda")
    assert module[0].weight is module[1].weight


def test_a_state_dict_can_be_adopted(device: CountingDevice) -> None:
    weight = {"weight": device.pixels((4, 4), torch.float32), "bias": device.pixels((4,), torch.float32)}
    with torch.device("meta"):
        module = nn.Linear(4, 4)
    module.load_state_dict(weight, assign=True)
    assert module(device.pixels((2, 4), torch.float32)).is_cuda
    assert module.weight.data_ptr() == weight["weight"].data_ptr()


def test_training_forward_counts_the_same(device: CountingDevice) -> None:
    """With gradients enabled the forward asks the device for the same work."""
    module, x = device.build(Small), device.pixels((2, 8), torch.float32)
    lengths = device.upload(torch.tensor([2]))
    reports = []
    for grad in (True, False):
        with torch.inference_mode(False), torch.set_grad_enabled(grad), device.count() as counter:
            module(x.clone(), lengths)
        reports.append(counter.report)
    assert reports[0].operations == reports[1].operations


def test_a_module_made_outside_of_inference_mode_can_be_called_in_it(device: CountingDevice) -> None:
    with torch.inference_mode(False):
        module = device.build(lambda: nn.Linear(8, 4))
    x = device.pixels((2, 8), torch.float32)
    assert not module.weight.is_inference()
    viewed = module.weight.view(8, 4)
    assert not viewed.is_inference()
    assert (x @ viewed).is_inference()
    assert (x @ viewed.T.contiguous().T).shape == module(x).shape


def test_uploads_in_other_threads_count_too(device: CountingDevice) -> None:
    def work() -> None:
        x = torch.tensor([1, 2, 3]).to("cuda") + torch.zeros(3, dtype=torch.int64, device="cuda")
        x.tolist()

    thread = threading.Thread(target=work)
    with device.count() as counter:
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(work) for _ in range(3)]:
                done.result()
    total = counter.report.total
    assert (total.uploads, total.device_operations, total.read_backs) == (4, 8, 4)


def test_ten_runs_give_the_same_report(device: CountingDevice) -> None:
    module = device.build(Small)
    x, lengths = device.pixels((2, 8), torch.float32), device.upload(torch.tensor([2]))

    def run() -> object:
        with device.count() as counter:
            module(x, lengths)
        return counter.report

    assert len({str(run()) for _ in range(10)}) == 1


def test_one_device_and_one_count_at_a_time(device: CountingDevice) -> None:
    with pytest.raises(UsageError, match="open already"), CountingDevice():
        pass
    assert torch.zeros(2, device="cuda").is_cuda  # the first one is still open
    with device.count(), pytest.raises(UsageError, match="running already"), device.count():
        pass


def test_a_tensor_of_a_closed_device_says_so() -> None:
    with CountingDevice() as device:
        x = device.upload(torch.ones(2))
    with pytest.raises(UsageError, match=r"closed counting device is used at .*test_device\.py:\d+: x \+ 1"):
        x + 1


def test_a_tensor_of_another_device_says_so() -> None:
    with CountingDevice() as device:
        x = device.upload(torch.ones(2))
    assert x.is_cuda
    assert "cuda:0" in repr(x)
    with CountingDevice(), pytest.raises(UsageError, match=r"closed counting device is used in aten::mul\.Tensor"):
        x * 2


def test_shadow_cannot_upload_what_has_no_values() -> None:
    with CountingDevice("shadow") as device, pytest.raises(UsageError, match="meta tensor has no values"):
        device.upload(torch.empty(2, device="meta"))


def test_printing_reads_back_each_element_and_each_row_and_numpy_is_refused(device: CountingDevice) -> None:
    x = device.upload(torch.tensor([3]))
    with device.count() as counter:
        assert "size=(1,)" in f"{x!r}"
    assert counter.report.total == Tally(host_syncs=2, read_backs=2, read_back_bytes=16)
    for shape, read_backs in (((64,), 65), ((2, 3), 8), ((2000,), 7), ((), 2)):
        x = device.upload(torch.zeros(shape, dtype=torch.int64))
        with device.count() as counter:
            str(x)
        assert counter.report.total.read_backs == read_backs
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        device.upload(torch.tensor([3])).numpy()
    assert device.questions == ()


def test_random_input_follows_the_seed() -> None:
    with CountingDevice("shadow") as device:
        first, same, other = (device.download(device.pixels((4,), torch.float32, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("pickles", [pickle.dumps, lambda x: torch.save(x, io.BytesIO())])
def test_pickling_is_refused_with_its_line_and_what_to_do(pickles: Callable[[Tensor], object]) -> None:
    with (
        CountingDevice("ghost") as device,
        pytest.raises(UsageError, match=r"test_device\.py:\d+.* pickles.*x\.cpu\(\)"),
    ):
        pickles(device.upload(torch.arange(3)))


def test_a_copy_shares_memory_and_a_deep_copy_has_its_own() -> None:
    with CountingDevice("ghost") as device:
        x = device.upload(torch.arange(3))
        shared, own = copy.copy(x), copy.deepcopy(x)
        x.add_(1)
        assert (shared.tolist(), own.tolist()) == ([1, 2, 3], [0, 1, 2])
