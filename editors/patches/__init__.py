"""The kinds of patches, alone and side by side."""
