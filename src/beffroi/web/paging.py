"""Pages by cursor: a bare list, and a Link header (RFC 8288) that leads to the next page."""

from collections.abc import Sequence
from typing import TypeVar

from fastapi import Request, Response

Row = TypeVar("Row")


def page(
    request: Request, response: Response, rows: Sequence[Row], limit: int, cursors: Sequence[object]
) -> Sequence[Row]:
    """Return the page of `limit` rows; `rows` holds one more when there is a next page.

    `cursors` are the cursors of the rows, in the same order.
    """
    if len(rows) <= limit:
        return rows
    following = request.url.include_query_params(after=str(cursors[limit - 1]))
    target = following.path + (f"?{following.query}" if following.query else "")
    response.headers["Link"] = f'<{target}>; rel="next"'
    return rows[:limit]


def links(request: Request, after: object | None, following: object | None) -> dict[str, str | None]:
    """Return where a page's pager leads: to the first page, when this is another, and to the next."""
    first = request.url.remove_query_params("after") if after else None
    further = request.url.include_query_params(after=str(following)) if following else None
    return {
        "first": f"{first.path}?{first.query}" if first else None,
        "following": f"{further.path}?{further.query}" if further else None,
    }
