"""What there is to choose from, as the source says it: nothing is imported to know a name."""

import re

from vlbench.towers.installed import named_by_packages
from vlbench.version import FOLDER

ENUM = r'^    [A-Z_]+ = "([a-z-]+)"'
FLAGS = " ".join(f"implementations/{room}/*.py" for room in ("optimized", "optimized/kernels", "prompt", "execution"))
SOURCES = {
    "flags": (FLAGS, r'^(?:@\w+\.optimization\(\s*|FLAG = )"([^"]+)"'),
    "former flags": (FLAGS, r"formerly=\((.*)\)"),
    "presets": (
        "implementations/optimized/presets.py implementations/optimized/systems.toml",
        r'^(?: +Preset\(\s*|\[)"([^"]+)"',
    ),
    "floor": ("implementations/floor.py", r'^NAME = "([^"]+)"'),
    "peers": ("implementations/peers/*.py", r'^@peer\(\s*"([^"]+)"'),
    "scenarios": ("scenarios/*.toml", ""),
    "prompts": ("workload/prompts.toml", r"^\[(.+)\]"),
    "seams": ("workload/seam_inputs.py workload/prompts.py", r'^@seam_case\(\s*"([^"]+)"'),
    "cases": ("scenarios/cases/*.toml", ""),
    "formats": ("readers/*.py", r'^READER = \w+\(\s*"([^"]+)"'),
    "states": ("record/timing.py", r"^State = Literal\[(.*)\]"),
    "dtypes": ("record/schema.py", r"^Dtype = Literal\[(.*)\]"),
    "ablations": ("matrix/ablation.py", ENUM),
    "devices": ("towers/models.py", r'check_choice\("--device", name, \((.*)\)\)'),
    "classes": ("record/exactness.py", r"^FP32_LIMITS = \{(.*), .result-changing"),
    "facts": ("counting/capture_job.py", r'^    "(\w+)": "'),
    "boards": ("kernel_times/boards/*.json*", ""),
    "tools": ("api/profiles.py", r"^TOOLS = \{(.*)\}"),
    "gpus": ("counting_device/profiles.py", r'^    "(sm_\d+)"'),
}
"""Where in the package the names of a kind stand, and in which form; without one, they are those of files."""


def names(kind: str) -> list[str]:
    """All names of a kind, each once."""
    if kind == "models":
        from vlbench.implementations.config import MODELS

        return list(MODELS)
    if kind == "references":
        from vlbench.record.schema import NO_FLAGS, REFERENCE

        return [REFERENCE, NO_FLAGS]
    if kind == "towers":
        return [f"{each.name}:MODEL" for each in named_by_packages()]
    where, form = SOURCES[kind]
    paths = [path for pattern in where.split() for path in sorted(FOLDER.glob(pattern))]
    if not form:
        return [path.name.partition(".")[0] for path in paths]
    found = (each for path in paths for each in re.findall(form, path.read_text(encoding="utf-8"), re.MULTILINE))
    return list(dict.fromkeys(name for each in found for name in re.findall(r'"([^"]+)"', each) or [each]))
