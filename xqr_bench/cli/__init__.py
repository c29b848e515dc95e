"""The command line: parses arguments, shows progress, prints; no logic."""
