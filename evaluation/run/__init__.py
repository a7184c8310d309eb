"""An experiment from settings to results: plan, apply, ask, undo."""
