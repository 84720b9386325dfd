"""Pure values and rules: what should happen, from values alone. No I/O, no clock."""
