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
if [ "$REPORT_ONLY" = true ]; then gate+=(--report-only); fi
if [ -n "${BASE_REF:-}" ]; then
  gate+=(--base "origin/$BASE_REF") # a pull request does not choose what it is judged by
  if [ "$FIRST" = true ]; then gate+=(--first); fi
fi
vlbench gate "${gate[@]}"
code=$?

if [ -n "$AB" ] && [ -n "${BASE_REF:-}" ]; then
  if ! words=$(xargs printf '%s\n' <<< "$AB"); then # splits at blanks and keeps quoted ones, and runs nothing
    echo "::error title=vlbench::a quote in the input ab is not closed"
    ab=2
  elif base=$(git merge-base "origin/$BASE_REF" HEAD); then
    mapfile -t options <<< "$words"
    if [ "$ALLOW_INCONCLUSIVE" = true ]; then options+=(--allow-inconclusive); fi
    vlbench ab "$base" HEAD "${options[@]}" --github --markdown "$reports/2-ab.md" --junit "$reports/ab.xml"
    ab=$?
  else
    echo "::error title=vlbench::there is no merge base with origin/$BASE_REF; check out with fetch-depth: 0"
    ab=6
  fi
  if [ "$code" -eq 0 ] && [ "$REPORT_ONLY" != true ]; then code=$ab; fi
fi

{
  echo "exit-code=$code"
  echo "reports=$reports"
} >> "$GITHUB_OUTPUT"
