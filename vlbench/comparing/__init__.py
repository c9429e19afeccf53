"""Two sides become rows, and rows get verdicts."""
