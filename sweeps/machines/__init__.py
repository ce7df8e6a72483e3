"""Where trials run: Ray's cluster and workers, or recorded curves."""
