"""Studies made with the benchmark, each a wing of its own: nothing imports them but their commands."""
