"""What is measured: the frozen baselines, the optimized tower and its flags, and other people's towers.

Relative imports only, so that two revisions of this package can be loaded side by side under two names.
"""
