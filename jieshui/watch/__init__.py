"""Watching the watchers: tells people when a process stops, and needs none of them nor a store."""
