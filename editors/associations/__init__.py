"""What ROME and MEMIT share: lookups, values to write, second moments of keys."""
