"""What hosts take for each event: `python -m results.host_times CAPTURE...` writes vlbench/predicting/hosts.json.

Captures are read where they lie, and none of them is kept: only quantiles, with the name of each capture.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.predicting.captured_host import act_times
from vlbench.predicting.host import HOSTS, Act, HostTimes, host_times, hosts
from vlbench.record.files import write_whole


def main(paths: Sequence[Path]) -> int:
    """Write the file anew from these captures; 2 where one of them cannot be read."""
    if not paths:
        print("error: name captures of eager PyTorch, .sqlite or torch profiler traces", file=sys.stderr)
        return 2
    try:
        times = HostTimes(made_by="python -m results.host_times", acts=tuple(act_times(paths))).with_checksum()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_whole(HOSTS, times.model_dump_json(indent=1) + "\n")
    return 0


def hosts_table() -> str:
    """The stored figures of both hosts, as a Markdown table."""
    rows = ["| | fast, us | slow, us | captures | what it is |", "|---|--:|--:|--:|---|"]
    fast, slow = hosts()
    for each in host_times().acts:
        act, source = Act(each.act), f"; {each.source}" if each.source else ""
        figures = f"{fast.us[act]:,.1f} | {slow.us[act]:,.1f} | {len(each.seen) or 'none'}"
        rows.append(f"| {each.act} | {figures} | {each.meaning}{source} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main([Path(each) for each in sys.argv[1:]]))
