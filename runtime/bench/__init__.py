"""Latency, cold start and memory of bundles on this machine."""
