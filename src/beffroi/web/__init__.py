"""Shared HTTP plumbing: turns requests into (session, now) and core errors into answers."""
