"""Causal tracing: which positions and layers a model's answer comes through."""
