"""Give each GPU operation the API call that asked for it: same process and same correlation id.

Correlation ids start afresh in every process, so the id alone joins strangers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_ID_BITS = 40  # CUPTI's correlation ids have 32


def match(api_pid: Ints, api_corr: Ints, asks: npt.NDArray[np.bool_], op_pid: Ints, op_corr: Ints) -> Ints:
    """For each operation the row of its API call, or -1.

    Where an id is recorded twice, a call that asks for GPU work (`asks`) is taken before one that does not,
    and the first before later ones.
    """
    pids = np.unique(api_pid)
    found = np.full(op_pid.size, -1, dtype=np.int64)
    if not pids.size or not op_pid.size:
        return found
    usable = (api_corr >= 0) & (api_corr < 1 << _ID_BITS)
    rows = np.flatnonzero(usable)
    keys = ((np.searchsorted(pids, api_pid[rows]) << _ID_BITS) | api_corr[rows]) * 2 + ~asks[rows]
    order = np.argsort(keys, kind="stable")
    rows, keys = rows[order], keys[order] >> 1
    first = np.ones(keys.size, dtype=bool)
    first[1:] = keys[1:] != keys[:-1]
    rows, keys = rows[first], keys[first]

    code = np.minimum(np.searchsorted(pids, op_pid), pids.size - 1)
    known = (pids[code] == op_pid) & (op_corr >= 0) & (op_corr < 1 << _ID_BITS)
    wanted = (code[known] << _ID_BITS) | op_corr[known]
    place = np.minimum(np.searchsorted(keys, wanted), max(keys.size - 1, 0))
    if keys.size:
        found[known] = np.where(keys[place] == wanted, rows[place], -1)
    return found
