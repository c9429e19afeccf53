from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEAKS = """
import atexit
from vlbench.process.messages import Message
from vlbench.process.parent import serve

class Word(Message):
    said: str

def work(parent):
    atexit.register(print, "taken apart")
    print("what a tower prints")
    for word in parent.hear(Word):
        parent.mark(word.said)
        parent.say(word)

serve(work, tool_attached=lambda: {attached})
"""


@pytest.mark.parametrize("attached", [False, True])
def test_a_process_started_by_hand_reads_all_and_leaves_at_once_unless_a_tool_listens(attached: bool) -> None:
    words = '{"said":"one"}\n{"said":"two"}\n'
    command = [sys.executable, "-c", SPEAKS.format(attached=attached)]
    done = subprocess.run(command, input=words, capture_output=True, text=True, check=True)
    assert done.stdout == words
    assert done.stderr == "what a tower prints\n" + "taken apart\n" * attached


def test_a_child_is_not_bound_twice(tmp_path: Path) -> None:
    """A process that a worker starts is no child of the worker's parent."""
    (tmp_path / "marker").write_bytes(b"\0" * 4096)
    script = "import os\nfrom vlbench.process.parent import MARKER, Parent\nParent()\nprint(MARKER in os.environ)"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"VLBENCH_CHILD_MARKER": str(tmp_path / "marker")},
    ) as process:
        assert process.stderr is not None
        assert process.stderr.read() == b"False\n"
        process.wait()  # while its stdin is open
