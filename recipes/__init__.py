"""Recipes as files, one YAML for each dataset build or experiment. This folder holds data, no code."""
