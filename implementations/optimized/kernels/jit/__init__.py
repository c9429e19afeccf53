"""The kernels themselves. Nothing imports them before a GPU is to run one, as they need Triton."""
