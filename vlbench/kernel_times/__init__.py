"""What kernels take on GPUs that are not at hand: measured times of products and attention, a table for each board.

    from vlbench.kernel_times import board

    board("h100").product(m=1296, n=3840, k=1280, dtype="bfloat16").us

Imports no torch.
"""

from vlbench.implementations.floor import Call as Call, Product as Product, Work as Work, tower_work as tower_work
from vlbench.kernel_times.floors import floor as floor
from vlbench.kernel_times.look_up import Board as Board, board as board, boards as boards
from vlbench.kernel_times.table import NotInTablesError as NotInTablesError
from vlbench.kernel_times.time import Row as Row, Time as Time
