"""Configuration: environment `BEFFROI_*`, a `beffroi.toml`, secrets from files; validated once."""

import os
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Self

import tomlkit
from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from tomlkit.exceptions import TOMLKitError

from beffroi.clients.process import Program
from beffroi.core.access import Role
from beffroi.core.durations import Duration, PositiveDuration
from beffroi.core.errors import SettingsError
from beffroi.core.moments import ZoneName

PREFIX = "BEFFROI_"
CONFIG_VARIABLE = "BEFFROI_CONFIG"
DEFAULT_CONFIG = "beffroi.toml"


class Auth(StrEnum):
    """Whether people and programs must say who they are."""

    ON = "on"
    OFF = "off"


class LogFormat(StrEnum):
    HUMAN = "human"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Listing = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Every setting, its default and its sentence. The reference page is held to this by a test."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    database_url: Annotated[
        str, Field(description="The database, as an SQLAlchemy URL: `sqlite:///...` or `postgresql://...`.")
    ] = "sqlite:///data/sqlite/scheduler.db"
    listen: Annotated[
        Listing, Field(min_length=1, description="Addresses to serve on, `host:port`, separated by commas.")
    ] = ["127.0.0.1:8000"]
    auth: Annotated[
        Auth,
        Field(description="`off`: nobody signs in, which is refused unless only this machine can reach us."),
    ] = Auth.ON
    public_url: Annotated[
        str | None,
        Field(pattern=r"^https?://[^/?#]+$", description="Where people find us, when a proxy is in front."),
    ] = None
    trusted_proxies: Annotated[
        Listing,
        Field(description="Addresses or networks of proxies whose `X-Forwarded-*` headers are believed."),
    ] = []
    oidc_issuer: Annotated[
        str | None,
        Field(pattern=r"^https?://", description="The OpenID Connect provider by which people sign in."),
    ] = None
    oidc_client_id: Annotated[str | None, Field(description="What the provider calls us.")] = None
    oidc_client_secret: Annotated[SecretStr | None, Field(description="Our password at the provider.")] = None
    oidc_role: Annotated[
        Role | None,
        Field(
            description="The role of whom the provider sends for the first time; empty: they need an account."
        ),
    ] = None
    timezone: Annotated[
        ZoneName, Field(description="The zone in which moments without an offset are read.")
    ] = "UTC"
    concurrency: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description="At most so many runs at a time; 0, on PostgreSQL only: this node executes none.",
        ),
    ] = 100
    plan_ahead: Annotated[
        PositiveDuration,
        Field(description="How long before its moment a run is decided, written down and held."),
    ] = timedelta(seconds=1)
    drain: Annotated[
        Duration,
        Field(description="On stop, how long running work may take to end before it is interrupted."),
    ] = timedelta(seconds=30)
    history_age: Annotated[
        PositiveDuration | None, Field(description="Finished runs older than this are deleted; empty: never.")
    ] = timedelta(days=90)
    history_count: Annotated[
        int | None, Field(ge=1, description="Of each job the newest so many runs are kept; empty: all.")
    ] = 10_000
    resync: Annotated[
        PositiveDuration,
        Field(description="How often all targets of schedules are looked at, and set right if they drifted."),
    ] = timedelta(minutes=5)
    discover: Annotated[
        Listing,
        Field(
            description="Contexts of the kubeconfig whose workloads may bring their windows along; "
            "`default`: the present one, or the cluster we run in."
        ),
    ] = []
    http_deny: Annotated[
        Listing,
        Field(description="Hosts, `*.domains` or networks that `http` actions may not call; `*` denies all."),
    ] = []
    http_allow: Annotated[
        Listing,
        Field(description="Exceptions from what is denied, also from the link-local and metadata addresses."),
    ] = []
    log: Annotated[LogFormat, Field(description="`human` for a terminal, `json` for a collector.")] = (
        LogFormat.HUMAN
    )
    log_level: Annotated[LogLevel, Field(description="The least serious events that are logged.")] = (
        LogLevel.INFO
    )
    commands: Annotated[
        dict[str, Program], Field(description="The commands that `command` actions may call, by name.")
    ] = {}

    @field_validator("history_age", "history_count", "public_url", "oidc_issuer", "oidc_role", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("database_url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        try:
            backend = make_url(value).get_backend_name()
        except ArgumentError:
            raise ValueError(
                "is not an SQLAlchemy URL, such as 'sqlite:///data/sqlite/scheduler.db'"
            ) from None
        if backend not in ("sqlite", "postgresql"):
            raise ValueError(
                f"{backend!r} is not supported; use an 'sqlite:///...' or a 'postgresql://...' URL"
            )
        return value

    @field_validator("concurrency")
    @classmethod
    def _somebody_executes(cls, value: int, info: ValidationInfo) -> int:
        if value == 0 and str(info.data.get("database_url")).startswith("sqlite"):
            raise ValueError("must be at least 1 on SQLite, where no other node executes")
        return value

    @field_validator("listen")
    @classmethod
    def _are_addresses(cls, value: list[str]) -> list[str]:
        for address in value:
            split_address(address)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for network in value:
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(f"{network!r} is not an address or a network such as '10.0.0.0/8'") from None
        return value

    @model_validator(mode="after")
    def _is_not_open_to_the_network(self) -> Self:
        reachable = [address for address in self.listen if not is_loopback(split_address(address)[0])]
        if self.auth is Auth.OFF and reachable:
            raise ValueError(
                f"auth: with sign-in off, everybody who reaches {', '.join(reachable)} could do everything. "
                "Listen on 127.0.0.1 alone, or set BEFFROI_AUTH=on"
            )
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_client_secret):
            raise ValueError("oidc_issuer: needs oidc_client_id and oidc_client_secret too")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = TomlConfigSettingsSource(settings_cls, toml_file=config_path())
        return init_settings, env_settings, files


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port` (IPv6 in brackets); ValueError with a sentence."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port[:6]) > 65535:
        raise ValueError(f"{address!r} is not an address; write 'host:port', such as '127.0.0.1:8000'")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    return host in ("127.0.0.1", "::1", "localhost")


def config_path() -> Path | None:
    """Return the configuration file: $BEFFROI_CONFIG, or `beffroi.toml` here when it exists."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    default = Path(DEFAULT_CONFIG)
    return default if default.is_file() else None


def load() -> Settings:
    """Read and validate the configuration; SettingsError with one sentence per mistake."""
    _check_config_file()
    _refuse_unknown_variables()
    try:
        return Settings.model_validate(_secrets_from_files())
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(dict(item)) for item in error.errors())) from None


def warnings(settings: Settings) -> list[str]:
    """Say what is valid, yet probably not meant."""
    found = []
    reachable = any(not is_loopback(split_address(address)[0]) for address in settings.listen)
    if reachable and not (settings.public_url or "").startswith("https://"):
        found.append(
            "listen: passwords and tokens cross the network unencrypted unless a proxy with TLS is in front; "
            "say so with public_url = 'https://...'."
        )
    for name, command in settings.commands.items():
        program = Path(command.argv[0])
        if program.is_absolute() and not os.access(program, os.X_OK):
            found.append(f"commands.{name}: {str(program)!r} is not an executable file.")
        if command.cwd is not None and not command.cwd.is_dir():
            found.append(f"commands.{name}: the folder {str(command.cwd)!r} does not exist.")
    if settings.history_age is None and settings.history_count is None:
        found.append("history_age and history_count are both empty: the ledger grows without end.")
    return found


def _check_config_file() -> None:
    path = config_path()
    if path is None:
        return
    try:
        tomlkit.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"The configuration file {str(path)!r} cannot be read: {error.strerror}."
        ) from None
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise SettingsError(f"The configuration file {str(path)!r} is not TOML: {error}.") from None


def _refuse_unknown_variables() -> None:
    """A misspelt variable must not be ignored: nobody would notice until it matters."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | {
        CONFIG_VARIABLE,
        URL_VARIABLE,
        TOKEN_VARIABLE,
    }
    known |= {f"{name}_FILE" for name in known}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(
            f"{', '.join(unknown)}: no such setting. Known are: {', '.join(sorted(_names()))}."
        )


URL_VARIABLE = "BEFFROI_URL"
TOKEN_VARIABLE = "BEFFROI_TOKEN"
"""Where the command line finds the server, and who it is there; read by the command line itself."""


def _names() -> list[str]:
    return [f"{PREFIX}{name}".upper() for name in Settings.model_fields]


def _secrets_from_files() -> dict[str, str]:
    """Read the settings given as `BEFFROI_<NAME>_FILE`; an unreadable file stops the start."""
    secrets = {}
    for field in Settings.model_fields:
        variable = f"{PREFIX}{field}".upper()
        path = os.environ.get(f"{variable}_FILE")
        if path is None:
            continue
        if variable in os.environ:
            raise SettingsError(f"{variable} and {variable}_FILE are both set; keep one.")
        try:
            secrets[field] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{variable}_FILE: {path!r} cannot be read: {error.strerror}.") from None
    return secrets


def _sentence(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if not where:
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{where}: no such setting; known are: {', '.join(sorted(Settings.model_fields))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}"
