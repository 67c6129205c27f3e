"""One page for a day: figures of the ledger as a self-contained file, and as a handful of numbers for a run."""
