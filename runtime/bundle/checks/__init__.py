"""Checks of what a stranger's bundle may hold, before anything runs it."""
