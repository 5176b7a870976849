"""What the outputs of a repeat prove, and how they agree with the reference and with Beam."""
