"""AutoML jobs of tabular data."""
