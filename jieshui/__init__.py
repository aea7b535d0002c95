"""Configuration, wiring, start and stop of processes, command line."""
