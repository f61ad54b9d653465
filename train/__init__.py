"""Training: rows in, a run folder out. Needs the extra `train`."""
