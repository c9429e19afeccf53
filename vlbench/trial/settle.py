"""torch as every measurement wants it."""

import torch


def settle(threads: int) -> None:
    """Set it up in this process."""
    torch.set_num_threads(threads)
    # Golden runs are fp32, and TF32 would reach the reference tower's Conv3d.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
