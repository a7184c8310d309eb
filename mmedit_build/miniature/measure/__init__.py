"""How well the checkpoints of the miniature do what they are for, on scenes they never saw."""
