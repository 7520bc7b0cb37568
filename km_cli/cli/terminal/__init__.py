"""Output for people: progress, summaries, sequences."""
