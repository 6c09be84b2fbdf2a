"""Processing and training jobs, and what all kinds of jobs share."""
