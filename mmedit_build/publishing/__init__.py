"""From finished edits to a dataset, in a folder or on the Hub."""
