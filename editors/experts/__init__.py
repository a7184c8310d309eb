"""LiveEdit: each edit gets an expert of low rank, and routing decides which of them answer a query."""
