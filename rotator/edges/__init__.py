"""The outside world, one thing a module; each is the only door to its library."""
