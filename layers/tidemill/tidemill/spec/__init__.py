"""The spec of a model: authored by people (YAML), compiled for machines (JSON)."""
