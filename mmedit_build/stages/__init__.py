"""The stages of a build: each maps a shard of rows to outcomes."""
