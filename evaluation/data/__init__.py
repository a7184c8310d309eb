"""Edits to judge: read from wherever they lie, with the probes they are judged by."""
