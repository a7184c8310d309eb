"""What is scored, and how."""
