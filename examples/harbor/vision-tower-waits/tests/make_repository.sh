#!/bin/bash
# make_repository.sh FOLDER: the repository that the task begins with, made of the reference tower of the vlbench that
# is installed. The verifier makes it once more, whatever became of the first one.
set -euo pipefail
folder=$1
from=$(python -c 'from vlbench.version import FOLDER; print(FOLDER / "implementations")')
mkdir -p "$folder/vision/baseline"
cp "$from/config.py" "$from/preprocessing.py" "$from/stage.py" "$folder/vision/"
cp "$from/baseline/qwen2_5_vl.py" "$folder/vision/baseline/"
touch "$folder/vision/__init__.py" "$folder/vision/baseline/__init__.py"
printf '__pycache__/\n' > "$folder/.gitignore"
cat > "$folder/vision/served.py" <<'END'
"""The encoder in its smallest size."""

from torch import nn

from .baseline.qwen2_5_vl import Qwen2_5VisionTower
from .config import MODELS


def tiny() -> nn.Module:
    """Called as `tower(pixels, grid_thw)`."""
    return Qwen2_5VisionTower(MODELS["qwen2.5-vl-tiny"])
END
cd "$folder"
git init --quiet --initial-branch main
git add --all
git -c user.name=task -c user.email=task@localhost commit --quiet --message "The encoder as it is"
git tag base
