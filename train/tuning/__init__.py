"""Tuning: what a search varies, its trials, its limits, and the choice among the trials."""
