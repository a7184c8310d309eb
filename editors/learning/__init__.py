"""Editors that learn: the training loop, lessons made of train edits, hypernetworks."""
