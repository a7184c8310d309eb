"""A page over all rows of a build or of a published dataset, served to this machine."""
