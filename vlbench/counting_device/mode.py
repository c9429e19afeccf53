"""What modes that see every operation of a thread have in common."""

from torch.utils._python_dispatch import TorchDispatchMode


class EagerMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Nothing is compiled within it, so that torch need not import its compiler to skip it, which takes a second."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
