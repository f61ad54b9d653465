"""Scores of predictions on labelled rows."""
