"""vlbench: which optimization of a vision tower helps, is it still right, and what did a change break."""

__version__ = "0.1.0"
