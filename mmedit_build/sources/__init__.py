"""Readers of source data: official files to rows."""
