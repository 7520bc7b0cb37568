"""How long tests wait for a state that must come."""

PATIENCE = 300.0
"""Seconds. Far longer than a busy machine takes to come round to a process, and shorter than a test may take.

Where a test waits for a state, this is its end if the state never comes. No result depends on it.
"""
