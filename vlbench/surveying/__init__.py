"""The vision towers of an installed package: which there are, what each asks of a GPU, and what a release changed."""
