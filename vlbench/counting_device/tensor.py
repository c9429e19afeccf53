"""The tensor that says it is on `cuda:0`: a wrapper without memory of its own around a tensor on the host."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from vlbench.counting_device.memory import Block
from vlbench.counting_device.scope import current
from vlbench.counting_device.where import asked_by_torch

CUDA = torch.device("cuda", 0)


class DeviceTensor(Tensor):
    """Claims `cuda:0`, in Python and in torch's C++ (dispatch keys, `is_cuda`), and holds a CPU or meta tensor.

    Every operation on it goes to `interpret`; what does not reach torch's dispatcher is answered here.
    """

    _host: Tensor
    block: Block

    @staticmethod
    def __new__(cls, host: Tensor, block: Block) -> DeviceTensor:
        self: DeviceTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            host.size(),
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            device=CUDA,
        )
        self._host = host
        self.block = block
        return self

    @property
    def host(self) -> Tensor:
        """The tensor behind: on the CPU where its values are known, on meta where only its shape is."""
        if not self.block.known and self._host.device.type == "cpu":
            self._host = self.block.ghost_of(self._host)
        return self._host

    def adopt(self, host: Tensor, block: Block) -> None:
        """Follow an operation that changed this tensor's shape in place (`t_`, `resize_`, a resized `out=`)."""
        if (host.size(), host.stride(), host.storage_offset()) != (
            self.size(),
            self.stride(),
            self.storage_offset(),
        ):
            self.data = DeviceTensor(host, block)
        self._host, self.block = host, block

    @property
    def data(self) -> Tensor:  # type: ignore[override]
        return self.detach()

    @data.setter
    def data(self, value: DeviceTensor) -> None:
        Tensor.data.__set__(self, value)  # type: ignore[attr-defined]  # shape and dtype, which C++ keeps
        self._host, self.block = value._host, value.block

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        from vlbench.counting_device.interpret import interpret  # it makes these tensors, so it comes after them

        return interpret(current(), func, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    # Questions ---------------------------------------------------------------------------------------------------

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        if not asked_by_torch(1):
            current().question("Tensor.is_cuda", True)
        return True

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        if not asked_by_torch(1):
            current().question("Tensor.device", CUDA)
        return CUDA

    def get_device(self) -> int:
        if not asked_by_torch(1):
            current().question("Tensor.get_device()", 0)
        return 0

    # What torch refuses for subclasses, or does without asking the dispatcher ------------------------------------

    def tolist(self) -> Any:
        """One copy of the whole tensor to the host, as `Tensor.tolist` does for a CUDA tensor."""
        return self.cpu().tolist()  # type: ignore[no-untyped-call]

    def numpy(self, *, force: bool = False) -> Any:
        if force:
            return self.cpu().numpy()
        self._refuse_numpy()

    def __array__(self, dtype: Any = None) -> Any:
        self._refuse_numpy()

    def _refuse_numpy(self) -> NoReturn:
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def data_ptr(self) -> int:
        return self.block.address + self.storage_offset() * self.element_size()

    def record_stream(self, stream: object) -> None:
        """Tells CUDA's allocator of another stream: nothing the host waits for."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return memo.setdefault(id(self), self.detach().clone().requires_grad_(self.requires_grad))

    def __repr__(self, *, tensor_contents: object = None) -> str:
        """Printing a CUDA tensor copies it to the host, so this is counted as a read-back; values are left out."""
        scope = current()
        scope.transfer("read-back", "print", self.numel() * self.element_size())
        return f"tensor(..., size={tuple(self.shape)}, dtype={self.dtype}, device='cuda:0')"
