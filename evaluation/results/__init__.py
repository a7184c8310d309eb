"""What is written down of a run, read back and summed up."""
