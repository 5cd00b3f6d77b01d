"""Where a network's bytes lie: live ranges, plans, and Programs that say which step reads and writes what."""
