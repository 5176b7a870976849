"""Credentials: where those of Google are looked up, and what keeps secrets out of sight."""
