"""Flags that are Triton kernels: a file for each, and in `jit/` the kernels, which alone import Triton.

Each goes through an operator whose plain twin runs on CPUs, so that towers with these flags are checked and counted
without a GPU.
"""
