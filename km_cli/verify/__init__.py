"""Does Kissmetrics hold what was sent? `export/` asks its data export, call by call."""
