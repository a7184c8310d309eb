"""Evaluation of models and of edits: the commands of mmedit-eval."""
