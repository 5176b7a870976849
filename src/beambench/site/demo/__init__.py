"""A store with a plausible year of nightly runs, made up to show the site: nothing was measured."""
