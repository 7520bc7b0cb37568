"""Rejected rows: how they are written, read back, and which personas are still owed."""
