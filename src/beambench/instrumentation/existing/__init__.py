"""Measuring handlers and pipelines that exist already, which stay as they are."""
