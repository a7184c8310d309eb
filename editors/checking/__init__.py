"""Checks that any editor can be put to, on any model: of the contract, and that no answer leaks."""
