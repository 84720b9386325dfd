"""The job that every contender runs: it does nothing but note how late it was started."""

import time

LATENESS: list[float] = []
"""Seconds from the nominal moment to the start, of each job that was run in this process."""


def arrive(nominal: float) -> None:
    """Be a plain job. `nominal` is the moment it was due, in seconds since 1970."""
    LATENESS.append(time.time() - nominal)


async def arrive_async(nominal: float) -> None:
    """Be a coroutine job."""
    LATENESS.append(time.time() - nominal)
