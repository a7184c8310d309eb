"""What M-ORE and ScopeEdit share: frozen bases, what their keys leave of a step, and a gate."""
