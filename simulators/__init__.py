"""A virtual city that publishes like real suppliers: outside the system, knows water only."""
