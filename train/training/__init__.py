"""Training a classifier: settings, loop, checkpoint, calibration."""
