"""Monitoring schedules."""
