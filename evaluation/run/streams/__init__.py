"""Edits one after the other: what is left of the first when the last one is made."""
