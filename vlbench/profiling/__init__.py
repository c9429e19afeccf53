"""Listeners to the stages of a forward."""
