"""Counting towers without a GPU: which ones, in a process of their own, and what their counts say."""
