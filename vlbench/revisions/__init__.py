"""Two revisions side by side, judged by time, accuracy and counters."""
