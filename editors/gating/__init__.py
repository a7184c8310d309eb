"""What gates look up, and what they let through."""
