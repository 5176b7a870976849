"""Setting up: what can be used here, a benchmark of one's own, what workers have to install."""
