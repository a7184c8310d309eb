"""Results that people hand in: kept in a folder or on the Hub, scored again, and shown as a page."""
