"""Signals, streams, lines on stderr and progress: what is no verb."""
