"""How much faster it is to compute only what an edit can change."""
