"""Checks of bundles from strangers, before any part of them is run."""
