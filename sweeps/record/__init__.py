"""What happened: the run folder and everything in it."""
