"""Predictions, on sequences and a board that are made by hand."""
