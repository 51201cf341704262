"""What every door shares: a client's wish becomes a command, and its answer can be shown."""
