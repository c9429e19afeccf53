"""How a built tower is run: operation by operation, compiled, or as graphs that are captured once and replayed.

Of graphs, what to put into one (`packing` beside this folder), what a graph depends on (keys), how a batch is laid
into memory that does not move (buffers) and what captures and replays (runners) are apart; the two flags (graphs) join
them.
"""

from .. import optimized as optimized  # it finds these files, in the order in which flags are listed
