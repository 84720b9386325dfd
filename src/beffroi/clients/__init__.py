"""The one door to the world: small, typed, time-limited."""
