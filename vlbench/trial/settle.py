"""torch as every measurement wants it."""

import torch

from vlbench.record.precision import turn_tf32_off


def settle(threads: int) -> None:
    """Set it up in this process. Raises UsageError where fp32 cannot be had: golden runs are fp32."""
    torch.set_num_threads(threads)
    turn_tf32_off()
