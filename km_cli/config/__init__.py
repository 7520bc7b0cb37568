"""What is in force: flags before the environment before km.toml before defaults."""
