"""A model behind HTTP, and an endpoint on this machine that stands in for one."""
