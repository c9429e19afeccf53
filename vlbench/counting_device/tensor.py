"""The tensor that says it is on `cuda:0`: a wrapper without memory of its own around a tensor on the host."""

from __future__ import annotations

from math import prod
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from vlbench.counting_device.memory import Block
from vlbench.counting_device.scope import current, is_open
from vlbench.counting_device.where import asked_by_torch, cause_line
from vlbench.errors import UsageError

CUDA = torch.device("cuda", 0)
_DATA: Any = Tensor.data  # the descriptor
_SUMMARISED, _EDGE = 1000, 3  # torch/_tensor_str.py: threshold and edgeitems


class DeviceTensor(Tensor):
    """Claims `cuda:0`, in Python and in torch's C++ (dispatch keys, `is_cuda`), and holds a CPU or meta tensor.

    Every operation on it goes to `interpret`; what does not reach torch's dispatcher is answered here.
    """

    _host: Tensor
    block: Block
    samples: tuple[Tensor, ...] | None = None
    """Ghosts: values under assumptions about the floats that this follows from (`assumed`)."""
    certain: bool = False
    """Ghosts: any finite floats in range give these values."""

    @staticmethod
    def __new__(cls, host: Tensor, block: Block) -> DeviceTensor:
        self: DeviceTensor = Tensor._make_wrapper_subclass(
            cls, host.size(), strides=host.stride(), storage_offset=host.storage_offset(), dtype=host.dtype, device=CUDA
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
        if (host.size(), host.stride(), host.storage_offset()) != (self.size(), self.stride(), self.storage_offset()):
            self.data = DeviceTensor(host, block)
        self._host, self.block = host, block

    @property
    def data(self) -> Tensor:
        """The same memory, outside of autograd."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, DeviceTensor):
            raise TypeError(f"a tensor on {CUDA} cannot take the data of a tensor on {value.device}")
        _DATA.__set__(self, value)  # shape and dtype, which C++ keeps
        self._host, self.block = value._host, value.block

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        scope = current()
        return scope.interpret(scope, func, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    # Questions ---------------------------------------------------------------------------------------------------

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """Yes; the question is listed, as the next two are."""
        _list("Tensor.is_cuda", True)
        return True

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """`cuda:0`."""
        _list("Tensor.device", CUDA)
        return CUDA

    def get_device(self) -> int:
        """The number of the device."""
        _list("Tensor.get_device()", 0)
        return 0

    # What torch refuses for subclasses, or does without asking the dispatcher ------------------------------------

    def tolist(self) -> Any:
        """One copy of the whole tensor to the host, as `Tensor.tolist` does for a CUDA tensor."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """With `force`, of a copy on the host. Raises TypeError without it, as a CUDA tensor does."""
        return self.cpu().numpy() if force else self._refuse_numpy()

    def __array__(self, dtype: Any = None) -> Any:
        self._refuse_numpy()

    def _refuse_numpy(self) -> NoReturn:
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def __format__(self, spec: str) -> str:
        """A single value is read back, as of any CUDA tensor."""
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    def untyped_storage(self) -> Any:
        """Its address and its bytes; what is in there is read through the tensor alone."""
        return _Storage(self.block)

    storage = untyped_storage

    def data_ptr(self) -> int:
        """A made-up address, different for different memory."""
        return self.block.address + int(self.storage_offset()) * self.element_size()

    def record_stream(self, stream: object) -> None:
        """Tells CUDA's allocator of another stream: nothing the host waits for."""

    def __copy__(self) -> Tensor:
        return nn.Parameter(self.detach(), self.requires_grad) if isinstance(self, nn.Parameter) else self.detach()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            f"{cause_line()} pickles a tensor of the counting device, which has no memory of its own; pickle a copy on "
            "the host, x.cpu(), or leave it out of the forward."
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = self.detach().clone()
        if isinstance(self, nn.Parameter):
            copied = nn.Parameter(copied, self.requires_grad)
        return memo.setdefault(id(self), copied)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        """Counts what printing a CUDA tensor reads back; values are left out.

        Source: torch/_tensor_str.py, which formats element by element to find the width, then copies row by row.
        """
        if is_open():
            scope, size = current(), self.element_size()
            shown = [min(n, 2 * _EDGE) if self.numel() > _SUMMARISED else n for n in self.shape]
            for _ in range(prod(shown)):
                scope.transfer("read-back", "print", size)
            for _ in range(prod(shown[:-1])):
                scope.transfer("read-back", "print", size * (shown[-1] if shown else 1))
            if self.is_floating_point():
                scope.not_measured(
                    "printing floats: how many are read back to find the format follows from their values"
                )
        return f"tensor(..., size={tuple(self.shape)}, dtype={self.dtype}, device='cuda:0')"


class _Storage:
    """Stands in for the storage of a CUDA tensor: which it is, how large it is, and nothing of what it holds."""

    device, is_cuda = CUDA, True

    def __init__(self, block: Block) -> None:
        self._block = block

    def data_ptr(self) -> int:
        """As of a tensor that begins there."""
        return self._block.address

    def nbytes(self) -> int:
        """Bytes."""
        return self._block.bytes

    size = __len__ = nbytes

    def __getattr__(self, name: str) -> NoReturn:
        raise UsageError(
            f"{cause_line()} reads the storage of a tensor on the device ({name}), and only tensors are counted; read "
            "the tensor, x.cpu() or x.tolist()"
        )

    def __getitem__(self, place: object) -> NoReturn:
        self.__getattr__("its elements")


def _list(question: str, answer: object) -> None:
    """List what the caller's caller asked, unless that is torch itself."""
    if is_open() and not asked_by_torch(2):
        current().question(question, answer)
