#!/bin/bash
# Judges the files of /app against the repository that the task began with, and writes the reward, from 0 to 1.
# What it was judged by lies beside the reward as judged.json. APP and LOGS name other folders, to try it by hand.
set -uo pipefail
app=${APP:-/app} logs=${LOGS:-/logs/verifier}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
mkdir -p "$logs"
echo 0 > "$logs/reward.txt"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The repository of /app is not asked what it began with: it may have been rewritten.
bash "$here/make_repository.sh" "$work/base" && cd "$work/base" || exit 1
git --work-tree="$app" add --all
git --work-tree="$app" diff --cached --binary base > "$work/fix.patch"
git reset --quiet --hard base
if [ ! -s "$work/fix.patch" ]; then
    echo "nothing was changed"
    exit 0
fi
vlbench judge-patch base "$work/fix.patch" --tower vision.served:tiny --grid 1x8x8 --grid 2x4x6 --json \
    > "$logs/judged.json"
python - "$logs" <<'END'
import json
import sys
from pathlib import Path

logs = Path(sys.argv[1])
found = json.loads((logs / "judged.json").read_text())
(logs / "reward.txt").write_text(f"{found['reward']}\n")
print(f"{found['verdict']}, {found['reason']}, reward {found['reward']}: {found['said']}")
END
