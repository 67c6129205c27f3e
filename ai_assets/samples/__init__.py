"""Data to work on without a real warehouse: a generated venue, and real retail data."""
