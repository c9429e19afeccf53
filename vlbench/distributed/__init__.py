"""A tower on several ranks, held to one process: `python -m vlbench.distributed`, or beneath torchrun."""
