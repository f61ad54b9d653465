"""Export: a run folder in, a verified bundle out. Needs the extra `train`."""
