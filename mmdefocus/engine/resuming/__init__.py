"""A resumed training that equals one that was never stopped."""
