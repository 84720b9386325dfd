"""Jobs and runs as people and programs see them."""
