"""A cluster of Ray in one machine: how much faster several nodes are, and what is left when they die."""
