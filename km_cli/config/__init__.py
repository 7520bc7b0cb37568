"""The settings of a run: a flag overrides the environment, the environment km.toml, and km.toml a default."""
