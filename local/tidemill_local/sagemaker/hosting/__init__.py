"""Endpoints: what they run, how that changes, and how requests reach it."""
