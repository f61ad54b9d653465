"""Files of bundles and runs: their content, reading and writing."""
