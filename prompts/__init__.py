"""Prompts as files, one each, with named placeholders. This folder holds data, no code."""
