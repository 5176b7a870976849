"""What is shown to people, and to scripts, on stdout."""
