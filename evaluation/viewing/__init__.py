"""A page over all cases of any number of results, served to this machine."""
