"""People judge rows of a build one by one; what they say is kept, compared, and heeded by publishing."""
