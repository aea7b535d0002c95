"""The routes under /api/v1, one file a subject, and those that machines ask."""

PREFIX = "/api/v1"
"""Each router carries it itself, so that a route's path is the template that metrics count."""
