"""Clients of models that are not the one under test: chat models, image generators, verifiers."""
