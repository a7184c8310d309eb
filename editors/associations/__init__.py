"""What ROME, MEMIT and AlphaEdit share: lookups, values to write, second moments of keys."""
