"""Everything that outlives a process, in Postgres: inbox, cache, run log, clues, alerts, guard state."""
