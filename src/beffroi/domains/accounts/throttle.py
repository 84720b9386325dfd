"""Slows down guessing. Counted is who guesses, never whom they try to be: nobody can lock others out."""

import ipaddress
from datetime import timedelta

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from beffroi.core.errors import TooManyError

MINUTES = 10
GUESSES = 10
"""Wrong passwords from one address, or one known browser, in so many minutes."""

BAD_TOKENS = 60


class Throttle:
    """Counts failures in this process."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._guesses = RateLimitItemPerMinute(GUESSES, MINUTES)
        self._tokens = RateLimitItemPerMinute(BAD_TOKENS, MINUTES)

    def check_guesses(self, who: str) -> None:
        """Raise TooManyError when there were too many wrong passwords from there."""
        if not self._limiter.test(self._guesses, who):
            raise TooManyError(
                f"Too many wrong passwords; try again in {MINUTES} minutes.",
                retry_after=timedelta(minutes=MINUTES),
            )

    def count_guess(self, who: str) -> None:
        self._limiter.hit(self._guesses, who)

    def count_bad_token(self, address: str) -> None:
        """Count a token that does not exist; TooManyError when there were too many from there."""
        if not self._limiter.hit(self._tokens, network_of(address)):
            raise TooManyError(
                "Too many wrong tokens from your address.", retry_after=timedelta(minutes=MINUTES)
            )


def network_of(address: str) -> str:
    """Return what one guesser has for himself: an IPv4 address, or a whole /64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network(f"{parsed}/64", strict=False))
