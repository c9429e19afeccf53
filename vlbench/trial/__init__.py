"""The measuring process: a typed job goes in, typed events come out."""
