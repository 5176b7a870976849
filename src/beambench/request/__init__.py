"""What is asked for, and all of it that can be checked before a worker starts."""
