"""Keys and passwords: made, hashed, compared. What is stored cannot be used to come in."""

import hashlib
import secrets
import threading
from datetime import timedelta

from pwdlib import PasswordHash

from beffroi.core.errors import InvalidError, TooManyError

TOKEN_PREFIX = "beffroi_"
"""So that tools which look for leaked secrets know one when they see it."""

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200

AT_ONCE = 2
"""A password takes tens of milliseconds and 64 MiB to check: nobody may keep all threads busy with it."""

_hasher = PasswordHash.recommended()
_turns = threading.BoundedSemaphore(AT_ONCE)
_nobodys = _hasher.hash(secrets.token_urlsafe())


def new_key() -> str:
    return secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """Return what is stored of a random key: it is too long to be guessed, so a fast hash will do."""
    return hashlib.sha256(key.encode()).hexdigest()


def check_password_rules(password: str, name: str) -> None:
    """Raise InvalidError when a password is too easy to guess."""
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidError("password", f"must have at least {SHORTEST_PASSWORD} characters")
    if len(password) > LONGEST_PASSWORD:
        raise InvalidError("password", f"must have at most {LONGEST_PASSWORD} characters")
    if password.casefold() == name.casefold() or len(set(password)) < 4:
        raise InvalidError("password", "is too easy to guess")


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def is_password(password: str, stored: str | None) -> bool:
    """Compare; for nobody's password it takes as long as for somebody's."""
    if not _turns.acquire(timeout=2):
        raise TooManyError("Too many are signing in at once; try again.", retry_after=timedelta(seconds=2))
    try:
        return _hasher.verify(password[:LONGEST_PASSWORD], stored or _nobodys) and stored is not None
    finally:
        _turns.release()
