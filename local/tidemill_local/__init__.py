"""The local cloud: the same stack on a laptop. Never shipped to AWS."""
