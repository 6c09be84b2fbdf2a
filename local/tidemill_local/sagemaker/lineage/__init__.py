"""The lineage graph, and the experiments kept with it."""
