"""Readings of the past from files, through the journal and the checks."""
