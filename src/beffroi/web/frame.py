"""Pages: a template, what it shows, and the frame around it, made once for all who look at the same."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fastapi import Request
from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined
from sqlmodel import Session
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from beffroi import __version__
from beffroi.core.access import Role
from beffroi.store.db import Database
from beffroi.web import times, words
from beffroi.web.live import Pulse
from beffroi.web.renderings import Renderings
from beffroi.web.viewer import LANGUAGES, Viewer, made_for, viewer_of

PART = "X-Part"
BEAT = "X-Beat"
SAID_COOKIE = "beffroi_said"

Values = Callable[[Session], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class MenuItem:
    """`label` is translated where it is shown; `role`: who sees it; `also`: a path that belongs to it."""

    label: str
    path: str
    role: Role = Role.VIEWER
    also: str | None = None


class Frame:
    """Renders. `rooms`: of each prefix the package that holds its templates."""

    def __init__(
        self, database: Database, pulse: Pulse, rooms: Mapping[str, str], menu: Collection[MenuItem]
    ) -> None:
        self._database = database
        self._menu = menu
        self._renderings: Renderings[str] = Renderings(pulse.version, lambda: pulse.beat)
        self._templates = _environment(rooms)
        self._folder = Path(str(files("beffroi.web"))) / "static"
        self.static_path = f"/static/{_digest(self._folder)}"
        self.static = StaticFiles(directory=self._folder)
        self._templates.globals["static"] = self.static_path

    def page(self, request: Request, template: str, values: Values) -> Response:
        """Return a page that shows what is in the database; or only the parts that a script asks for."""
        viewer = viewer_of(request)
        parts = self._parts(request, template)
        said = request.cookies.get(SAID_COOKIE)
        told = request.headers.get(BEAT, "")

        def make() -> str:
            with made_for(viewer), self._database.read() as session:
                shown = {**self._surroundings(request, viewer, said), **values(session)}
                return self._render(template, parts, shown)

        # A script that follows a form to its page is not who reads it.
        if said and PART not in request.headers:
            answer = HTMLResponse(make())
            answer.delete_cookie(SAID_COOKIE)
            return answer
        caller = viewer.caller
        key = (
            template, request.url.path, request.url.query, parts, viewer.language, viewer.zone_name,
            caller.role if caller else None, None if parts else caller and caller.name,
        )  # fmt: skip
        made = self._renderings.get(key, make, int(told) if told.isdecimal() and len(told) < 20 else None)
        return Response(made, media_type="application/json") if parts else HTMLResponse(made)

    def show(
        self,
        request: Request,
        template: str,
        values: Mapping[str, Any],
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        """Return a page that shows what it is given, for this one request."""
        viewer = viewer_of(request)
        parts = self._parts(request, template)
        with made_for(viewer):
            made = self._render(template, parts, {**self._surroundings(request, viewer, None), **values})
        kind = "application/json" if parts else "text/html"
        return Response(made, status_code=status, media_type=kind)

    def error(self, request: Request, status: HTTPStatus, sentence: str) -> Response:
        """Return a page that says what is wrong. Who looks is not asked anew: that may be what is wrong."""
        request.state.caller = getattr(request.state, "caller", None)
        return self.show(request, "error.html", {"status": status, "sentence": sentence}, status)

    def _parts(self, request: Request, template: str) -> tuple[str, ...]:
        """Return which blocks of a template are asked for, each once; none: the whole page."""
        asked = set(request.headers.get(PART, "")[:200].split(","))
        return tuple(name for name in self._templates.get_template(template).blocks if name in asked)

    def _render(self, template: str, parts: Sequence[str], values: Mapping[str, Any]) -> str:
        found = self._templates.get_template(template)
        values = {**values, "parts": self._templates.get_template("parts.html").make_module()}
        if not parts:
            return found.render(values)
        context = found.new_context(dict(values))
        return json.dumps({name: "".join(found.blocks[name](context)) for name in parts})

    def _surroundings(self, request: Request, viewer: Viewer, said: str | None) -> dict[str, Any]:
        caller = viewer.caller
        return {
            "viewer": viewer,
            "caller": caller,
            "may_operate": caller is not None and caller.role.includes(Role.OPERATOR),
            "menu": [item for item in self._menu if caller and caller.role.includes(item.role)],
            "path": request.url.path,
            "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "languages": LANGUAGES,
            "said": words.gettext(unquote(said)) if said else None,
        }


def see_other(path: str, said: str | None = None) -> Response:
    """Lead on after something was done, and say what on the next page."""
    answer = RedirectResponse(path, HTTPStatus.SEE_OTHER)
    if said:
        answer.set_cookie(SAID_COOKIE, quote(said), max_age=30, httponly=True, samesite="lax")
    return answer


def local_path(path: str | None, default: str = "/ui/") -> str:
    """Return a path of ours to lead on to; never another site."""
    is_ours = path is not None and path.startswith("/ui/") and "\\" not in path and path.isprintable()
    return path if is_ours and path else default


def _environment(rooms: Mapping[str, str]) -> Environment:
    domains = PrefixLoader({name: PackageLoader(package) for name, package in rooms.items()})
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("beffroi.web"), domains]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals["version"] = __version__
    environment.globals["themselves"] = lambda names: {name: name for name in names}
    environment.filters.update(
        moment=times.moment,
        ago=times.ago,
        duration=times.duration,
        number=times.number,
        full=times.full,
        plain=times.plain,
    )
    return environment


def _digest(folder: Path) -> str:
    """Return a name that changes with the files, so that browsers may keep them for good."""
    content = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return sha256(content).hexdigest()[:12]
