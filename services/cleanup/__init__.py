"""Deleting what is no longer needed."""
