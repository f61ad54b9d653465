"""Endpoints: the methods of each path, for the router and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textgate.serve.problems import Problem

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from textgate.serve.context import Context

    Handler = Callable[["Context", Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: the HTTP method.
        path: the path, with parameters in braces.
        summary: one line for the OpenAPI document.
        handler: answers requests.
        answer: type of the JSON response; None if it is not JSON.
        body: type of the JSON request; None if there is none.
        media: content type of the response.
        statuses: statuses of errors, besides those that any request may meet.
        query: query parameters.
        public: whether it needs no token.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    answer: Any = None
    body: Any = None
    media: str = "application/json"
    statuses: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    public: bool = False


ROUTE = "textgate.route"  # entry of a scope: the endpoint's path, once it is found


class Routes:
    """Finds the endpoint of a request."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        methods: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            methods.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        self._fixed = {path: found for path, found in methods.items() if "{" not in path}
        self._patterns = [
            (path.split("/"), found) for path, found in methods.items() if "{" in path
        ]

    def find(self, scope: Scope) -> Endpoint:
        """Return the endpoint of a request, and put its path's parameters into the scope.

        Raises:
            Problem: there is no such path, or it has not this method.
        """
        path = path_of(scope)
        methods = self._fixed.get(path)
        if methods is None:
            methods = self._matching(path.split("/"), scope)
        method: str = scope["method"]
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allowed = ", ".join(methods)
            raise Problem(
                405,
                f"{method} is not a method of this path; it has {allowed}",
                {b"allow": allowed.encode()},
            )
        scope[ROUTE] = endpoint.path
        return endpoint

    def _matching(self, parts: list[str], scope: Scope) -> dict[str, Endpoint]:
        for pattern, methods in self._patterns:
            if len(pattern) != len(parts):
                continue
            pairs = list(zip(pattern, parts, strict=True))
            if all(one == part or (one[:1] == "{" and part) for one, part in pairs):
                scope["path_params"] = {one[1:-1]: part for one, part in pairs if one[:1] == "{"}
                return methods
        raise Problem(404, "there is nothing at this path; /openapi.json lists what there is")


def path_of(scope: Scope) -> str:
    """Return the path of a request, below the path that the service is mounted at."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
