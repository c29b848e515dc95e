"""What Python programs and notebooks use."""
