"""docs/kernels.md does what it says, word for word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.trial.plans import ROOT, python_path

PAGE = (ROOT / "docs" / "kernels.md").read_text()

STAND_IN = '''
"""As a stack binds to its kernel in C++: torch knows the operator and nothing else of it."""

import torch

LIBRARY = torch.library.Library("my_stack", "DEF")
LIBRARY.define("varlen_fwd(Tensor q, Tensor k, Tensor v, Tensor cu_seqlens, int max_seqlen) -> Tensor")


def flash_attn_varlen_func(q, k, v, cu_seqlens, max_seqlen):
    return torch.ops.my_stack.varlen_fwd(q, k, v, cu_seqlens, max_seqlen)
'''


def test_the_example_runs_as_it_is_printed(vlbench: Vlbench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (command,) = re.findall(r"```console\n\$ vlbench (.*)\n```", PAGE)
    package = folder / "my_stack"
    package.mkdir()
    (package / "attention.py").write_text(STAND_IN)
    (folder / "my_tower.py").write_text(example)
    monkeypatch.setenv("PYTHONPATH", python_path(folder))
    ended = vlbench(*shlex.split(command), "--json")
    assert ended.code == 0, ended
    forward = ended.json()["groups"][0]["towers"][0]["warm"]
    counts = forward["counts"]
    assert counts["operations"]["my_stack::varlen_fwd"] == 1
    assert counts["total"]["attention_calls"] == 1
    (read,) = [site for site in forward["sites"] if site["event"] == "read-back"]
    assert (read["times"], read["expression"]) == (1, "int(lengths.max())")
    assert counts["key"]["attention_backend"] == "flash"
