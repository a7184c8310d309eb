"""SERAC's parts: memories, the scope classifier, the counterfactual model."""
