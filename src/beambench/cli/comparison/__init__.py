"""Comparing: runs of the store."""
