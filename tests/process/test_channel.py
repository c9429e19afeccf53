from __future__ import annotations

import subprocess
import sys

SPEAKS = """
import atexit
from pydantic import BaseModel
from vlbench.process.channel import leave, open_channel

class Word(BaseModel):
    said: str

say = open_channel()
atexit.register(print, "taken apart")
print("what a tower prints")
say(Word(said="all"))
leave()
"""


def test_a_process_says_all_and_leaves_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", SPEAKS], capture_output=True, text=True, check=True)
    assert done.stdout == '{"said":"all"}\n'
    assert done.stderr == "what a tower prints\n"
