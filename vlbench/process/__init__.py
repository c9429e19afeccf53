"""Processes that work for us: how they start, speak, are watched and end."""
