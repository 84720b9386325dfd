"""Measures Beffroi beside its peers, in one run on one machine, and prints ratios."""
