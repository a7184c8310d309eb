"""A small drawn world and tiny trained checkpoints of the real model classes."""
