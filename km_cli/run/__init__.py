"""Everything that runs, and nothing that prints: the one loop, and what drives it for each command."""
