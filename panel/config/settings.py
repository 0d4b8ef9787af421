"""Django settings: values from `PanelEnv` and `Secrets`, the rest fixed here on purpose."""

import importlib.util
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from panel.config.env import PanelEnv
from panel.config.secrets import Secrets, StillGood

BASE_DIR = Path(__file__).resolve().parent.parent.parent
WADAH = PanelEnv()
try:
    SECRETS = Secrets.load(WADAH.home)
except FileNotFoundError as error:
    raise ImproperlyConfigured(
        f"{error.filename} is missing: run `manage.py prepare` with the same WADAH_HOME first"
    ) from error

SECRET_KEY = SECRETS.secret_key
SECRET_KEY_FALLBACKS = StillGood(SECRETS.old_secret_keys)
DEBUG = WADAH.debug
ALLOWED_HOSTS = WADAH.hosts
#: The front listens for TLS only, so there is nothing to redirect; preloading a name is its owner's decision.
SILENCED_SYSTEM_CHECKS = ["security.W008", "security.W021"]
ROOT_URLCONF = "panel.config.urls"
WSGI_APPLICATION = "panel.config.wsgi.application"
ASGI_APPLICATION = "panel.config.asgi.application"


def _present(*modules: str) -> list[str]:
    return [module for module in modules if importlib.util.find_spec(module)]


INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "channels",
    "csp",
    "django_htmx",
    "template_partials",
    "panel.clock",
    "panel.accounts",
    "panel.tenants",
    "panel.quotas",
    "panel.plans",
    "panel.nodes",
    "panel.jobs",
    "panel.images",
    "panel.registries",
    "panel.networks",
    "panel.environments",
    "panel.metering",
    "panel.storage",
    "panel.backups",
    "panel.volumes",
    "panel.domains",
    "panel.stacks",
    "panel.jails",
    "panel.stages",
    "panel.builds",
    "panel.isolation",
    "panel.inside",
    "panel.repositories",
    "panel.gateway",
    "panel.operations",
    "panel.access",
    "panel.audit",
    "panel.live",
    "panel.people",
    "panel.tenancy",
    "panel.offers",
    "panel.fleet",
    "panel.api",
    "panel.upkeep",
    *_present("panel.ui", "panel.frame", "panel.console"),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # above whatever answers early: its refusals are pages as well
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "panel.config.middleware.RequestMiddleware",
    "panel.config.database_away.NobodyWaits",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "panel.gate.requests.Gate",
    "panel.config.names.KnownNames",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "panel.accounts.sessions.SessionMiddleware",
    "panel.accounts.reader.ReaderMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "panel.ui.not_allowed.NotAllowedPage",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "panel.api.middleware.ApiMiddleware",
]

_LOADERS = ["panel.ui.loader.Loader", "django.template.loaders.app_directories.Loader"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                ("template_partials.loader.Loader", [("django.template.loaders.cached.Loader", _LOADERS)])
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "csp.context_processors.nonce",
                "panel.frame.shell.shell",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
INSTALLED_APPS.append("django.forms")

# database ---------------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES: dict[str, Any]
if WADAH.database_url:
    DATABASES = {
        "default": {
            **dj_database_url.parse(WADAH.database_url, conn_max_age=60, conn_health_checks=True),
            "ENGINE": "panel.postgresql",
        }
    }
    _wait_ms = int(WADAH.database_wait_s * 1000)
    DATABASES["default"].setdefault("OPTIONS", {})["options"] = (
        f"-c statement_timeout={_wait_ms} -c lock_timeout={min(5000, _wait_ms)} "
        "-c idle_in_transaction_session_timeout=15000"
    )
    # a server that is gone without a word is noticed in 20 s, one that doesn't take connections in 3
    DATABASES["default"]["OPTIONS"].update(connect_timeout=3, tcp_user_timeout=20_000)
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": WADAH.panel_home / "db.sqlite3",
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                # A writer takes the lock at BEGIN, so that read-then-write can't fail half way.
                "transaction_mode": "IMMEDIATE",
                "timeout": WADAH.database_wait_s,
                # WAL with synchronous=NORMAL survives a crash of the process; https://sqlite.org/wal.html
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; "
                    "PRAGMA mmap_size=134217728; PRAGMA cache_size=-16000"
                ),
            },
        }
    }

# services and pages open their own transactions, so that an event is sent only after the commit.
ATOMIC_REQUESTS = False

# Redis ------------------------------------------------------------------------------------------

CACHES = {
    "default": {
        "BACKEND": "panel.config.cache.PatientCache",
        "LOCATION": WADAH.cache_url,
        "KEY_PREFIX": "wadah",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "panel.event_layer.EventLayer",
        "CONFIG": {"hosts": [WADAH.cache_url], "prefix": "wadah"},
    }
}

# sign-in ----------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "panel.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_MAX_EMAIL_ADDRESSES = 10  # each new one gets a mail
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_PREVENT_ENUMERATION = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = WADAH.has_name
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not WADAH.is_secure
MFA_TOTP_ISSUER = "Wadah"
MFA_ADAPTER = "panel.accounts.factors_at_rest.MFAAdapter"
MFA_FORMS = {
    "authenticate": "panel.accounts.code_forms.AuthenticateForm",
    "reauthenticate": "panel.accounts.code_forms.ReauthenticateForm",
    "add_webauthn": "panel.accounts.code_forms.AddWebAuthnForm",
}
# Counted by `panel.accounts.guesses`: allauth's count of an account lets anybody keep its owner out.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None, "reset_password": "20/m/ip"}
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Wadah] "
USERSESSIONS_TRACK_ACTIVITY = False
USERSESSIONS_ADAPTER = "panel.accounts.adapter.SessionsAdapter"
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend" if WADAH.email_host else "panel.config.mail.LogBackend"
)
EMAIL_HOST, EMAIL_PORT = WADAH.email_host, WADAH.email_port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = WADAH.email_user, WADAH.email_password
EMAIL_USE_TLS, EMAIL_USE_SSL = WADAH.email_tls == "starttls", WADAH.email_tls == "tls"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = WADAH.email_from

# One OpenID Connect provider, trusted for the addresses that it calls verified (docs/people-and-access.md).
SOCIALACCOUNT_ADAPTER = "panel.accounts.adapter.SocialAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "sso",
                "name": WADAH.oidc_name,
                "client_id": WADAH.oidc_client_id,
                "secret": WADAH.oidc_client_secret,
                "settings": {"server_url": WADAH.oidc_url},
            }
        ]
        if WADAH.oidc_url
        else [],
    }
}

# browser ----------------------------------------------------------------------------------------

_PREFIX = "__Host-" if WADAH.is_secure else "wadah_"
SECURE_SSL_REDIRECT = False  # the front does it, and health checks come without TLS
SECURE_HSTS_SECONDS = 63_072_000 if WADAH.is_secure else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = WADAH.is_secure
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# Web processes listen on a unix socket that only the front connects to, and the front sets this header.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
# Rows, not a cache: a sign-out while Redis is away must not be undone by what Redis still held.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_SERIALIZER = "panel.accounts.sessions_at_rest.SealedSerializer"
SESSION_COOKIE_NAME = f"{_PREFIX}sid"
#: A browser that has signed in is known by it; it signs nobody in.
DEVICE_COOKIE_NAME = f"{_PREFIX}device"
SESSION_COOKIE_SECURE = WADAH.is_secure
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())
CSRF_COOKIE_NAME = f"{_PREFIX}csrf"
CSRF_COOKIE_SECURE = WADAH.is_secure
# Strict would leave it out of the first page after a link from elsewhere, which would make another.
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_AGE = None
# In a cookie: in the session, each stranger's look at the sign-in page would be a row.
CSRF_USE_SESSIONS = False
CSRF_FAILURE_VIEW = "panel.config.views.csrf_failure"
CSRF_TRUSTED_ORIGINS = [WADAH.url.rstrip("/")]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
FILE_UPLOAD_PERMISSIONS = 0o600
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    }
}
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# static files -----------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = WADAH.panel_home / "static"
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "panel.config.staticfiles.ModuleManifestStorage"
        )
    },
}
MEDIA_ROOT = WADAH.panel_home / "media"
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

# languages, times -------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("id", _("Indonesian"))]
LOCALE_PATHS = [BASE_DIR / "panel" / "locale"]
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_TZ = True

# logs -------------------------------------------------------------------------------------------

LOGGING_CONFIG = "panel.config.logs.configure"
LOGGING = {"json": WADAH.log_json and not DEBUG, "level": "DEBUG" if DEBUG else "INFO"}
TEST_RUNNER = "django.test.runner.DiscoverRunner"
