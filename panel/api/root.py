"""The API object: who asks, how errors look, what the document says; each domain adds its own router."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import get_language
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import HttpBearer
from ninja.security.apikey import APIKeyCookie
from pydantic import TypeAdapter

from panel.accounts.api import policy_router, sessions_router
from panel.accounts.guesses import may_show_bad_token
from panel.accounts.ssh_keys_api import router as ssh_keys
from panel.api.examples import show_examples
from panel.api.headers import describe_headers, name_schemas
from panel.api.links import link
from panel.audit.api import router as audit
from panel.backups.api import of_environment as of_backups
from panel.backups.api import router as backups
from panel.backups.api import targets_router as backup_targets
from panel.backups.api_of_volumes import of_volume as backups_of_volumes
from panel.backups.api_of_volumes import restoring as restoring_of_volumes
from panel.builds.api import router as builds
from panel.console.environment_api import router as of_consoles
from panel.domains.api import router as domains
from panel.environments.api import router as environments
from panel.environments.devices_api import router as of_devices
from panel.errors import Forbidden, Refused
from panel.fleet.api import router as nodes
from panel.fleet.capacity_api import router as capacity
from panel.fleet.cpu_pools_api import router as cpu_pools
from panel.fleet.devices_api import of_nodes as devices_of_nodes
from panel.fleet.devices_api import router as devices_of_hosts
from panel.gate.answers import as_built
from panel.gate.bodies import StrictJson
from panel.gate.parameters import known_only
from panel.http.answers import Problem
from panel.http.problem import CONTENT_TYPE, problem, refused
from panel.images.api import router as images
from panel.inside.api import router as of_inside
from panel.isolation.api import router as of_isolation
from panel.jails.api import router as jails
from panel.networks.api import router as addresses
from panel.networks.environment_api import router as of_networks
from panel.offers.api import router as plans
from panel.operations.api import router as operations
from panel.people.api import environment_router, support_router, tenant_router
from panel.people.tokens_api import router as tokens
from panel.registries.api import router as registries
from panel.repositories.api import of_environment as of_commits
from panel.repositories.api import router as repositories
from panel.rights.actor import Actor
from panel.rights.asking import actor_of, tell_refused
from panel.stacks.api import router as stacks
from panel.stacks.catalogue_api import router as catalogue
from panel.stages.api import router as stages
from panel.storage.api import router as of_storage
from panel.storage.api import schedules_router as schedules
from panel.storage.arranging_api import router as of_files
from panel.storage.packing_api import router as of_archives
from panel.storage.uploads_api import router as of_uploads
from panel.tenancy.api import router as tenants
from panel.volumes.api import router as volumes

_PROBLEMS = {
    400: "The request can't be understood.",
    401: "No good token or session.",
    403: "Not allowed.",
    404: "Not there, or not yours.",
    409: "It collides with what is there.",
    411: "An archive comes with its length.",
    412: "It was changed since you have read it.",
    413: "The body is too long.",
    415: "The body is JSON in UTF-8.",
    422: "A value isn't acceptable.",
    429: "Too many requests.",
    503: "The database, or a node, is away; `Retry-After` says when to ask again.",
}


def made_once(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The document is the same for everybody, known or not, and takes half a second to make.

    A process makes one for each language.
    """
    texts: dict[str, bytes] = {}

    def kept(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        language = get_language() or ""
        if language not in texts:
            texts[language] = view(request, **kwargs).content
        return HttpResponse(texts[language], content_type="application/json; charset=utf-8")

    return kept


class Token(HttpBearer):
    """`Authorization: Bearer wdh_…`"""

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        return actor_of(request)


class Session(APIKeyCookie):
    """The session of a signed-in browser; unsafe methods need the CSRF token as well."""

    param_name = "sessionid"

    def _get_key(self, request: HttpRequest) -> str | None:
        return "session" if "Authorization" not in request.headers else None

    def authenticate(self, request: HttpRequest, key: str | None) -> Actor | None:
        return actor_of(request) if key else None


class Api(NinjaAPI):
    def get_openapi_schema(self, *args: Any, **kwargs: Any) -> Any:
        """Adds examples, what ids are good for, headers, and the problems that any operation may give."""

        schema = super().get_openapi_schema(*args, **kwargs)
        schema["components"]["schemas"]["Problem"] = TypeAdapter(Problem).json_schema()
        show_examples(schema)
        link(schema)
        describe_headers(schema)
        body = {"$ref": "#/components/schemas/Problem"}
        for path in schema["paths"].values():
            for operation in path.values():
                for status, words in _PROBLEMS.items():
                    answer = {"description": words, "content": {CONTENT_TYPE: {"schema": body}}}
                    operation["responses"].setdefault(status, answer)
        return name_schemas(schema)


api = Api(
    title="Wadah",
    version="1",
    servers=[{"url": "/", "description": "This installation"}],
    description="Everything that the pages do, in one call each. Errors are problem+json (RFC 9457).",
    auth=[Token(), Session()],
    openapi_url="/openapi.json",
    docs_url=None,
    docs_decorator=made_once,
    urls_namespace="api",
    parser=StrictJson(),
)
api.add_decorator(known_only, mode="view")
api.add_decorator(as_built(api))


@api.exception_handler(Refused)
def _refused(request: HttpRequest, error: Refused) -> HttpResponse:
    who = actor_of(request)
    if isinstance(error, Forbidden) and who is not None:
        tell_refused(who, error, f"{request.method} {request.path}")
    return refused(error)


@api.exception_handler(AuthenticationError)
def _unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    if "Authorization" in request.headers and not may_show_bad_token(request):
        return problem(429, "too_many_bad_tokens", "Too many bad tokens came from there in the last minute.")
    answer = problem(401, "unauthenticated", "A good bearer token (or a session) is needed.")
    answer["WWW-Authenticate"] = "Bearer"
    return answer


#: Of what is wrong with a request so much is told, and of each so many letters.
_MOST_ERRORS, _MOST_LETTERS = 100, 500


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = []
    for one in error.errors[:_MOST_ERRORS]:
        parts = [str(part) for part in one["loc"] if part not in ("body", "payload", "query", "path")]
        field, message = ".".join(parts)[:_MOST_LETTERS], str(one["msg"])[:_MOST_LETTERS]
        errors.append({"field": field, "message": message})
    first = errors[0] if errors else {"field": "", "message": "The request is not valid."}
    if not first["field"] and error.errors and error.errors[0]["type"] == "missing":
        first["message"] = "The request has no body; it is JSON with Content-Type: application/json."
    detail = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    return problem(422, "invalid", detail, field=first["field"], errors=errors)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, Refused):  # what our reader of bodies said
        return refused(error.__cause__)
    code = "not_json" if error.status_code == 400 else f"http_{error.status_code}"
    return problem(error.status_code, code, str(error) or "The request can't be understood.")


@api.exception_handler(Http404)
def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(404, "not_found", "There is nothing at this address.")


def _add_routers() -> None:

    for name, router in (
        ("environments", environments),
        ("operations", operations),
        ("tenants", tenants),
        ("tokens", tokens),
        ("ssh-keys", ssh_keys),
        ("plans", plans),
        ("images", images),
        ("nodes", nodes),
        ("registries", registries),
        ("repositories", repositories),
        ("capacity", capacity),
        ("addresses", addresses),
        ("audit", audit),
        ("support", support_router),
        ("sign-in-policy", policy_router),
        ("sessions", sessions_router),
        ("schedules", schedules),
        ("backup-targets", backup_targets),
        ("backups", backups),
        ("backups", restoring_of_volumes),
        ("volumes", volumes),
        ("volumes", backups_of_volumes),
        ("domains", domains),
        ("stacks", stacks),
        ("catalogue", catalogue),
        ("cpu-pools", cpu_pools),
        ("devices", devices_of_hosts),
        ("nodes", devices_of_nodes),
        ("jails", jails),
        ("stages", stages),
        ("builds", builds),
    ):
        api.add_router(f"/{name}", router, tags=[name])
    api.add_router("/tenants", tenant_router, tags=["people"])
    for name, router in (
        ("environments", of_networks),
        ("environments", of_consoles),
        ("snapshots", of_storage),
        ("snapshots", of_files),
        ("snapshots", of_archives),
        ("snapshots", of_uploads),
        ("backups", of_backups),
        ("environments", of_isolation),
        ("environments", of_devices),
        ("environments", of_inside),
        ("environments", of_commits),
        ("people", environment_router),
    ):
        api.add_router("/environments", router, tags=[name])


_add_routers()
