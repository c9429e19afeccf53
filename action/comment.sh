#!/usr/bin/env bash
# Writes the reports into one comment of the pull request, found again by its mark. A pull request from a fork may not
# write comments: that is a warning, and never the status of the gate.
set -uo pipefail

mark='<!-- vlbench -->'
body=$RUNNER_TEMP/vlbench-comment.md
{
  echo "$mark"
  cat "$REPORTS"/*.md
} | head --bytes 65000 > "$body" # GitHub takes no more than 65,536

comments=repos/$REPOSITORY/issues/$NUMBER/comments
number=$(gh api --paginate "$comments" --jq ".[] | select(.body | startswith(\"$mark\")) | .id" | head -n 1)
if [ -n "$number" ]; then
  gh api --method PATCH "repos/$REPOSITORY/issues/comments/$number" --field body=@"$body" > /dev/null
else
  gh api --method POST "$comments" --field body=@"$body" > /dev/null
fi || echo "::warning title=vlbench::the report could not be written as a comment; it is in the job summary"
