"""What machine and software this is: `python -m results.gpu.environment` prints it as JSON.

Only what Python brings along is imported here: a machine that lacks something still says what. Ends with 1 then.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASKED = ("triton", "transformers")
"""Packages of which it can make use."""
PATIENCE = 40
"""Seconds for one command."""
COMMANDS = {
    "board": ["nvidia-smi"],
    "clocks, power and mode": ["nvidia-smi", "-q", "-d", "CLOCK,POWER,PERFORMANCE,TEMPERATURE,COMPUTE,ECC"],
    "processors": ["lscpu"],
    "torch": [sys.executable, "-c", "import torch; print(torch.__config__.show(), torch.backends.cudnn.version())"],
}
VARIABLES = re.compile(r"(CUDA|CUBLAS|CUDNN|NVIDIA|TORCH|PYTORCH|TRITON|OMP)_")


def needed() -> list[str]:
    """The packages that vlbench cannot do without."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [re.split(r"[<>=!;\s]", each)[0] for each in project["dependencies"]]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def said_by(command: list[str]) -> str:
    """What a command prints, or why it does not."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not measured: {error}"
    return done.stdout if done.returncode == 0 else f"not measured: it ended with {done.returncode}: {done.stdout}"


def main() -> int:
    """Print all of it."""
    found = {name: _version(name) for name in [*needed(), *ASKED]}
    lacking = [name for name in needed() if found[name] is None]
    told = {
        "python": platform.python_version(),
        "kernel": platform.platform(),
        "packages": found,
        "lacking": lacking,
        "variables": {name: value for name, value in sorted(os.environ.items()) if VARIABLES.match(name)},
        "commands": {name: said_by(command).splitlines() for name, command in COMMANDS.items()},
    }
    print(json.dumps(told, indent=1))
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
