"""How a built tower is run: operation by operation, compiled, or as graphs that are recorded once and replayed.

Of graphs, what to put into one (`packing` beside this folder), what a recording depends on (keys), how a batch is laid
into memory that does not move (buffers) and what records and replays (runners) are apart; the two flags (graphs) join
them.
"""

from .. import optimized as optimized  # it finds these files, in the order in which flags are listed
