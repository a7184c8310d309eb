"""Reports from result files alone; no model is needed."""
