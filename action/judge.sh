#!/usr/bin/env bash
# Runs the gate, then the merge base against the head. Always ends with 0: the status of both goes to the outputs, so
# that the comment is written before the job fails.
set -uo pipefail

reports=$RUNNER_TEMP/vlbench
mkdir -p "$reports"

gate=(--times "$TIMES" --github --markdown "$reports/1-gate.md" --junit "$reports/gate.xml")
while read -r file; do
  if [ -n "$file" ]; then gate+=(--baseline "$file"); fi
done <<< "$BASELINE"
if [ "$ALLOW_INCONCLUSIVE" = true ]; then gate+=(--allow-inconclusive); fi
vlbench gate "${gate[@]}"
code=$?

if [ -n "$AB" ] && [ -n "${BASE_REF:-}" ]; then
  if base=$(git merge-base "origin/$BASE_REF" HEAD); then
    eval "options=($AB)" # as a shell reads them: a path may hold blanks
    if [ "$ALLOW_INCONCLUSIVE" = true ]; then options+=(--allow-inconclusive); fi
    vlbench ab "$base" HEAD "${options[@]}" --github --markdown "$reports/2-ab.md" --junit "$reports/ab.xml"
    ab=$?
  else
    echo "::error title=vlbench::there is no merge base with origin/$BASE_REF; check out with fetch-depth: 0"
    ab=6
  fi
  if [ "$code" -eq 0 ]; then code=$ab; fi
fi

{
  echo "exit-code=$code"
  echo "reports=$reports"
} >> "$GITHUB_OUTPUT"
