"""One small language model: its data, its training, its stories. Knows nothing of sweeps."""
