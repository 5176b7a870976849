"""From a run on one machine to a cluster: how long it takes there, and what that rests on."""
