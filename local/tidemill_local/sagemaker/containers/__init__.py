"""A container's process, and the files that it sees."""
