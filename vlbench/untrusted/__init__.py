"""What a person hands in: every file goes through one reader here, every name in it through one cleaner."""
