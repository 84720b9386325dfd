"""What can go wrong, as words. A class is a case; its docstring is the default sentence."""

from datetime import timedelta


class BeffroiError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self.args[0])


class NotFoundError(BeffroiError):
    """There is no such thing here."""


class ConflictError(BeffroiError):
    """The request does not fit the present state."""


class StaleError(BeffroiError):
    """Somebody else changed this since you read it; read it again, then repeat your change."""


class InvalidError(BeffroiError):
    """A value is not acceptable."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class SettingsError(BeffroiError):
    """The configuration is not usable."""


class ActionError(BeffroiError):
    """The action failed. Raised by actions; what they saw of the world goes along."""

    retryable = True

    def __init__(
        self,
        message: str | None = None,
        *,
        code: int | None = None,
        output: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.output = output
        self.retry_after = retry_after


class TemporaryError(ActionError):
    """The action failed; the same call may succeed later."""


class PermanentError(ActionError):
    """The action failed and would fail again in the same way: retrying is useless."""

    retryable = False


class UnknownCallerError(BeffroiError):
    """Sign in, or send a token: `Authorization: Bearer ...`."""


class ForbiddenError(BeffroiError):
    """Your role does not allow this."""


class TooManyError(BeffroiError):
    """Too many attempts; wait a little."""

    def __init__(self, message: str | None = None, *, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after
