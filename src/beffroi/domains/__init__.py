"""The product. No domain imports another."""
