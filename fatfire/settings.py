"""All settings. The environment is read here and nowhere else; every variable is documented in docs/settings.md."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.utils.csp import CSP
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from fatfire.console import theme

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(BaseSettings):
    """The environment variables, by their lower-case names."""

    model_config = SettingsConfigDict(extra="ignore")

    debug: bool = False
    environment: str = "local"
    secret_key: SecretStr = SecretStr("")
    allowed_hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    database_url: SecretStr = SecretStr("")
    database_operator_url: SecretStr = SecretStr("")
    database_owner_url: SecretStr = SecretStr("")
    database_admin_url: SecretStr = SecretStr("")
    broker_url: str = "memory://localhost/"
    queue_brokers: dict[str, str] = {}
    kms_key_id: str = ""
    master_key_file: Path = BASE_DIR / ".data" / "master.key"
    plaid_url: str = ""
    plaid_client_id: str = ""
    plaid_secret: SecretStr = SecretStr("")
    plaid_country_codes: list[str] = ["US"]
    rates_url: str = ""
    media_bucket: str = Field(default="", pattern=r"^[a-z0-9-]*$")
    media_folder: Path = BASE_DIR / ".data" / "media"
    media_max_bytes: int = Field(default=10 * 2**30, ge=1)
    media_max_seconds: int = Field(default=4 * 3600, ge=1)
    media_max_videos: int = Field(default=200, ge=1)
    media_parallel: int = Field(default=2, ge=1)
    media_worker_start_seconds: float = Field(default=0.3, ge=0)
    keep_originals_days: int = Field(default=90, ge=1)
    keep_uploads_days: int = Field(default=7, ge=1)
    aws_region: str = ""
    aws_endpoint_url: str = ""
    keep_invocations_days: int = Field(default=90, ge=1)
    keep_jobs_days: int = Field(default=90, ge=1)
    jobs_resend_after_seconds: int = Field(default=10, ge=1)
    site_url: str = Field(default="", pattern=r"^(https?://[^/\s?#@]+)?$")
    console_url: str = Field(default="", pattern=r"^(https?://[^/\s?#@]+)?$")
    trusted_proxies: int = Field(default=0, ge=0)
    websocket_url: str = Field(default="", pattern=r"^(wss?://[^\s?#@]+)?$")
    websocket_endpoint: str = Field(default="", pattern=r"^(https?://[^\s?#@]+)?$")
    api_requests_per_minute: int = Field(default=600, ge=1)
    api_behind_authorizer: bool = False
    secure_cookies: bool = True
    csrf_trusted_origins: list[str] = []
    static_root: str = ""
    static_url: str = Field(default="/static/", pattern=r"^(/|https://[^/\s?#@]+/)([^\s?#]*/)?$")
    mail_url: SecretStr = SecretStr("")
    mail_from: str = "fatfire@localhost"
    log_level: str = "INFO"


ENV = Environment()

DEBUG = ENV.debug
ENVIRONMENT = ENV.environment
SECRET_KEY = ENV.secret_key.get_secret_value()
ALLOWED_HOSTS = ENV.allowed_hosts
ROOT_URLCONF = "fatfire.urls"
WSGI_APPLICATION = "fatfire.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = ["fatfire.console.formats"]  # how the console writes days and moments
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS: list[str] = []  # none of Django's: people sign in by a link, programs by a key
SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # e-mail addresses are unique whatever their case, by a constraint of its own
APPEND_SLASH = False

INSTALLED_APPS = [
    "fatfire",
    "fatfire.web",
    "fatfire.console",  # before Unfold, some of whose templates it replaces
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "fatfire.console.apps.SiteConfig",  # Django's admin
    "tenants",
    "services.telemetry",
    "services.jobs",
    "services.messaging",
    "services.accounts",
    "services.core",
    "services.exchange",
    "services.history",
    "services.integration",
    "services.receipts",
    "services.media",
    "services.insurance",
    "services.tax",
    "services.analytics",
    "services.cleanup",
    "ninja",  # its own Swagger UI files, served from here instead of a CDN
    "django.contrib.contenttypes",
    "django.contrib.auth",  # the console's forms import it; it signs nobody in (AUTHENTICATION_BACKENDS)
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_htmx",
    "lucide",  # icons, written into the page by the server
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "fatfire.middleware.RequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",  # `request.user` is nobody; the console says who it is
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = ENV.static_url
if ENV.static_root:  # collected: each file named by its content, to be kept for ever
    STATIC_ROOT = BASE_DIR / ENV.static_root
    STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
    WHITENOISE_KEEP_ONLY_HASHED_FILES = True
else:
    WHITENOISE_USE_FINDERS = True  # straight from the packages: nothing to collect on a laptop


def _database(url: SecretStr, *, unset: str) -> dict[str, Any]:
    """Turn a PostgreSQL URL (libpq's own syntax) into Django's dictionary.

    Without one, connecting fails with the name of the missing variable in the error: importing the settings must work
    without a database (type checks, --help, packaging).
    """
    parts = conninfo_to_dict(url.get_secret_value() or f"postgresql://nobody@/nowhere?host=/{unset}-is-not-set")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": parts,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


# One database, three roles (architecture: tenancy). A process has the URLs of the roles it may be, and no others.
DATABASES = {"default": _database(ENV.database_url, unset="DATABASE_URL")}
if ENV.database_operator_url.get_secret_value():
    DATABASES["operator"] = _database(ENV.database_operator_url, unset="DATABASE_OPERATOR_URL")
if ENV.database_owner_url.get_secret_value():
    DATABASES["owner"] = _database(ENV.database_owner_url, unset="DATABASE_OWNER_URL")
DATABASE_ADMIN_URL = ENV.database_admin_url  # for manage.py bootstrap_roles alone
DATABASE_ROUTERS = ["tenants.isolation.RoleRouter"]

# Tables that belong to no tenant: label -> (what app_tenant may do there, "" for nothing; why it isn't a tenant's).
SHARED_MODELS: dict[str, tuple[str, str]] = {
    "tenants.User": ("SELECT", "a person may be a member of several tenants; shown to those alone"),
    "accounts.SignInRequest": ("", "nobody is known yet; written by an SQL function and read by the platform's job"),
    "accounts.SignInToken": ("SELECT, UPDATE", "a link is used before it is known where its person belongs"),
    "accounts.SignedInBrowser": ("SELECT, INSERT", "a person's browsers are theirs, whichever tenant each is in"),
    "contenttypes.ContentType": ("SELECT", "the names of the models, which Django's sessions and console ask for"),
    "sessions.Session": ("SELECT, INSERT, UPDATE, DELETE", "a browser's session tells which tenant it is in"),
    "auth.Permission": ("", "Django's admin asks for the table; nobody has permissions in it"),
    "auth.Group": ("", "as before"),
    "auth.Group_permissions": ("", "as before"),
    "admin.LogEntry": ("", "what operators did in the console, which tenants' owners read in their own audit trail"),
    "telemetry.RequestCount": ("", "requests of nobody known; counted by an SQL function"),
    "exchange.Rate": ("SELECT", "the European Central Bank's rates are the same for everybody"),
}

BROKER_URL = ENV.broker_url
QUEUE_BROKERS = ENV.queue_brokers
KEEP_INVOCATIONS_DAYS = ENV.keep_invocations_days
KEEP_JOBS_DAYS = ENV.keep_jobs_days
JOBS_RESEND_AFTER_SECONDS = ENV.jobs_resend_after_seconds
KMS_KEY_ID = ENV.kms_key_id
MASTER_KEY_FILE = ENV.master_key_file
MEDIA_BUCKET = ENV.media_bucket
MEDIA_FOLDER = ENV.media_folder
# Whose addresses browsers send files to and fetch them from; empty where they are our own.
MEDIA_ORIGIN = ENV.media_bucket and (
    ENV.aws_endpoint_url.rstrip("/") or f"https://{ENV.media_bucket}.s3.{ENV.aws_region}.amazonaws.com"
)
MEDIA_MAX_BYTES = ENV.media_max_bytes
MEDIA_MAX_SECONDS = ENV.media_max_seconds
MEDIA_MAX_VIDEOS = ENV.media_max_videos
MEDIA_PARALLEL = ENV.media_parallel
MEDIA_WORKER_START_SECONDS = ENV.media_worker_start_seconds
KEEP_ORIGINALS_DAYS = ENV.keep_originals_days
KEEP_UPLOADS_DAYS = ENV.keep_uploads_days
PLAID_URL = ENV.plaid_url
PLAID_CLIENT_ID = ENV.plaid_client_id
PLAID_SECRET = ENV.plaid_secret
PLAID_COUNTRY_CODES = ENV.plaid_country_codes
RATES_URL = ENV.rates_url
SITE_URL = ENV.site_url
CONSOLE_URL = ENV.console_url or ENV.site_url
API_REQUESTS_PER_MINUTE = ENV.api_requests_per_minute
API_BEHIND_AUTHORIZER = ENV.api_behind_authorizer
TRUSTED_PROXIES = ENV.trusted_proxies
WEBSOCKET_URL = ENV.websocket_url
WEBSOCKET_ENDPOINT = ENV.websocket_endpoint

UNFOLD = theme.settings(environment=ENVIRONMENT)

SESSION_ENGINE = "fatfire.web.sessions"
SESSION_COOKIE_AGE = 14 * 24 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # Strict would sign out whoever follows a link from their mail
SESSION_COOKIE_SECURE = ENV.secure_cookies
CSRF_TRUSTED_ORIGINS = ENV.csrf_trusted_origins
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = ENV.secure_cookies
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"  # the console's; not the session's row
CSRF_FAILURE_VIEW = "fatfire.web.errors.csrf_failure"


def _mailer(url: SecretStr) -> dict[str, Any]:
    """Turn "smtp://user:word@host:port" (always with STARTTLS) or "file:/folder" into Django's dictionary.

    Without one, sending fails with the name of the missing variable in the error.
    """
    parts = urlsplit(url.get_secret_value() or "smtp://MAIL_URL-is-not-set.invalid")
    if parts.scheme == "file":
        return {"BACKEND": "services.messaging.local.LocalBackend", "OPTIONS": {"folder": unquote(parts.path)}}
    options = {
        "host": parts.hostname,
        "port": parts.port or 587,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_tls": True,
        "timeout": 10,
    }
    return {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}


MAILERS = {"default": _mailer(ENV.mail_url)}
DEFAULT_FROM_EMAIL = ENV.mail_from

# Nothing but our own files, the storage's and the CDN's, and nothing written into a page but text.
_CDN = [f"https://{urlsplit(STATIC_URL).netloc}"] if STATIC_URL.startswith("https:") else []
_STORAGE = [MEDIA_ORIGIN] if MEDIA_ORIGIN else []
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, *_CDN],
    "style-src": [CSP.SELF, *_CDN],
    "img-src": [CSP.SELF, *_CDN, *_STORAGE],
    "media-src": [CSP.SELF, *_STORAGE],
    "font-src": [CSP.SELF, *_CDN],
    "connect-src": [CSP.SELF, *_STORAGE, *([WEBSOCKET_URL] if WEBSOCKET_URL else [])],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "fatfire.kit.logging.json_formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": ENV.log_level},
    # Refused requests and finished tasks are no events for the log: they are in the invocations.
    "loggers": {
        "django.request": {"level": "ERROR"},
        **{name: {"level": "WARNING"} for name in ("celery", "kombu", "boto3", "botocore", "zappa", "websockets")},
    },
}
