"""Beffroi: a self-hosted scheduler for small operations teams."""

__version__ = "0.1.0"
