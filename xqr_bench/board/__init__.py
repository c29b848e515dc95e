"""The leaderboard: submit, verify, reproduce, and the one JSON that tables and sites are made from."""
