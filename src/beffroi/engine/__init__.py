"""The machine: makes due things happen once. It knows time and runs, and no domain."""
