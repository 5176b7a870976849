"""The performance site: static pages from a store, with charts that work offline."""
