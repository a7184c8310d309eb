"""What gates of GRACE and WISE look up, and what they let through."""
