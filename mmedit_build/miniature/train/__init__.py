"""How the checkpoints of the miniature are trained."""
