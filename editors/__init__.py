"""Editing methods: each plans a patch for a model and leaves the model as it was."""
