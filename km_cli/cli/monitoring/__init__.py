"""Output for machines that watch unattended runs: the journal, the ping, the metrics."""
