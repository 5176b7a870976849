"""Dated price sheets and machine shapes as data, and what usage costs by them."""
