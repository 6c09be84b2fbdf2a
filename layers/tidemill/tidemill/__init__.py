"""Tidemill, the part that Lambda, the command line and the local cloud share."""
