"""Runs stages over shards of rows, and keeps what comes out."""
