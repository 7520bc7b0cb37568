"""Prints the crontab or the systemd units that run a backfill every night."""
