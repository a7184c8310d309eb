"""Faults of a benchmark, counted and shown."""
