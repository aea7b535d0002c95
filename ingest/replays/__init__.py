"""Judging again what the journal keeps: quarantine re-run, replays and their adoption."""
