"""The direct runner: Beam's FnApiRunner on this machine."""
