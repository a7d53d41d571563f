"""Who may use which route: one table, and one list of what is public. What stands in neither is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute
from starlette.routing import compile_path

from holdfast.access import Role
from holdfast.api.problems import ForbiddenError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from holdfast.access import Caller

PUBLIC = frozenset(
    {
        ("/", "GET"),
        ("/livez", "GET"),
        ("/readyz", "GET"),
        ("/docs", "GET"),
        ("/auth/token", "POST"),
        ("/auth/refresh", "POST"),
        ("/v2/health/live", "GET"),
        ("/v2/health/ready", "GET"),
    }
)
"""What anybody may ask. Reviewed: none of it tells about a customer, a model's inside or the installation."""

ASSETS = "/docs/assets"
"""The files of the page /docs, public too."""

PROBES = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""What load balancers ask without end: never counted, so that nobody can use up their share."""

STREAMED = frozenset({("/jobs/score", "POST")})
"""Routes that read their body piece by piece and hold it to a limit of their own."""

POLICY: dict[tuple[str, str], Role] = {
    ("/openapi.json", "GET"): Role.VIEWER,
    ("/health", "GET"): Role.VIEWER,
    ("/metrics", "GET"): Role.VIEWER,
    ("/model_info", "GET"): Role.VIEWER,
    ("/model_metrics", "GET"): Role.VIEWER,
    ("/feature_importance", "GET"): Role.VIEWER,
    ("/v2", "GET"): Role.VIEWER,
    ("/v2/models/{name}", "GET"): Role.VIEWER,
    ("/v2/models/{name}/ready", "GET"): Role.VIEWER,
    ("/v2/models/{name}/versions/{version}", "GET"): Role.VIEWER,
    ("/v2/models/{name}/versions/{version}/ready", "GET"): Role.VIEWER,
    ("/auth/me", "GET"): Role.VIEWER,
    ("/auth/logout", "POST"): Role.VIEWER,
    ("/predict", "POST"): Role.SCORER,
    ("/predict/batch", "POST"): Role.SCORER,
    ("/batch_predict", "POST"): Role.SCORER,
    ("/explain", "POST"): Role.SCORER,
    ("/v2/models/{name}/infer", "POST"): Role.SCORER,
    ("/v2/models/{name}/versions/{version}/infer", "POST"): Role.SCORER,
    ("/models", "GET"): Role.VIEWER,
    ("/models/{ref}", "GET"): Role.VIEWER,
    ("/models/{ref}/promote", "POST"): Role.OPERATOR,
    ("/models/rollback", "POST"): Role.OPERATOR,
    ("/audit", "GET"): Role.ADMIN,
    ("/audit/verify", "GET"): Role.ADMIN,
    ("/predictions", "GET"): Role.ANALYST,
    ("/predictions/export", "GET"): Role.ANALYST,
    ("/predictions/{prediction_id}", "GET"): Role.ANALYST,
    ("/customers/{customer_id:path}", "DELETE"): Role.ADMIN,
    ("/jobs", "GET"): Role.SCORER,
    ("/jobs/score", "POST"): Role.SCORER,
    ("/jobs/{job_id}", "GET"): Role.SCORER,
    ("/jobs/{job_id}", "DELETE"): Role.SCORER,
    ("/jobs/{job_id}/cancel", "POST"): Role.SCORER,
    ("/jobs/{job_id}/rejects", "GET"): Role.SCORER,
    ("/jobs/{job_id}/results", "GET"): Role.SCORER,
    ("/keys", "GET"): Role.ADMIN,
    ("/keys", "POST"): Role.ADMIN,
    ("/keys/{id}", "DELETE"): Role.ADMIN,
    ("/users", "GET"): Role.ADMIN,
    ("/users", "POST"): Role.ADMIN,
    ("/users/{name}", "PATCH"): Role.ADMIN,
    ("/users/{name}", "DELETE"): Role.ADMIN,
}
"""The lowest role that may use each route, by its path template and method."""


def is_public(path: str, method: str) -> bool:
    """Whether anybody may ask this."""
    return (path, method) in PUBLIC or (method == "GET" and path.startswith(f"{ASSETS}/"))


def allow(caller: Caller | None, path: str, method: str) -> None:
    """Let ``caller`` use the route, or not.

    Args:
        caller: from the guard; none for a public route.
        path: the route's template, such as ``/keys/{id}``.
        method: in capitals.

    Raises:
        ForbiddenError: the caller's role is too low, or the route has no policy.
    """
    needed = POLICY.get((path, method))
    if needed is None:
        if (path, method) in PUBLIC:
            return
        raise ForbiddenError("Nobody may use this address.", hint="It has no policy; tell its makers.")
    if caller is None or caller.role < needed:
        own = "nobody" if caller is None else caller.role.label
        raise ForbiddenError(
            f'This needs the role "{needed.label}"; yours is "{own}".',
            hint="Ask an administrator for a key or user of that role.",
        )


def methods_of(path: str) -> list[str]:
    """The methods that an address takes; of one that is a route by its own name, only that route's.

    >>> methods_of("/keys"), methods_of("/jobs/score"), methods_of("/jobs/17")
    (['GET', 'POST'], ['POST'], ['DELETE', 'GET'])
    """
    own = {method for route, method in _ROUTES if route == path}
    return sorted(own or {method for route, method in _ROUTES if _FORMS[route].fullmatch(path)} or {"GET"})


_ROUTES = PUBLIC | POLICY.keys()
_FORMS = {route: compile_path(route)[0] for route, _ in _ROUTES}


class GuardedRoute(APIRoute):
    """The route class of every router: holds each request against the table before anything of it is read."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["method"] in (self.methods or ()):  # another method has no policy; it becomes a 405
            state: dict[str, Any] = scope["state"]
            allow(state.get("caller"), self.path, scope["method"])
        await super().handle(scope, receive, send)
