"""A folder for each runner: a half that is light, and in `beam/` the half that imports Beam."""
