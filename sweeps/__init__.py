"""Many models: which trials run, and where."""
