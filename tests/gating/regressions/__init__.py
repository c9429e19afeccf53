"""Regressions that were shipped somewhere, made again as edits of our towers: who catches what?"""
