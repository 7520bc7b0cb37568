"""Replay and backfill event logs into Kissmetrics: users and accounts side by side."""
