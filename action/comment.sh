#!/usr/bin/env bash
# Writes the reports into one comment of the pull request, found again by its mark and its author: anyone can write the
# mark. That it cannot be written is a warning, and never the status of the gate.
set -uo pipefail

mark='<!-- vlbench -->'
body=$RUNNER_TEMP/vlbench-comment.md
{
  echo "$mark"
  cat "$REPORTS"/*.md
} | head --bytes 65000 > "$body" # GitHub takes no more than 65,536

comments=repos/$REPOSITORY/issues/$NUMBER/comments
author=$(gh api user --jq .login 2> /dev/null) || author='github-actions[bot]' # whose token is not a person's
ours="select(.user.login == \"$author\" and (.body | startswith(\"$mark\")))"
number=$(gh api --paginate "$comments" --jq ".[] | $ours | .id" | head -n 1)
if [ -n "$number" ]; then
  gh api --method PATCH "repos/$REPOSITORY/issues/comments/$number" --field body=@"$body" > /dev/null
else
  gh api --method POST "$comments" --field body=@"$body" > /dev/null
fi || echo "::warning title=vlbench::the report could not be written as a comment; it is in the job summary"
