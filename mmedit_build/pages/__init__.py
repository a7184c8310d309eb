"""Pages served on this machine, to itself alone."""
