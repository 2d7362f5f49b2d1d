"""The WSGI application, for servers and for Zappa."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
application = get_wsgi_application()

# After the set-up: it needs the settings. A server without its secrets must not answer.
from tenants.checks import require_secrets  # noqa: E402

require_secrets()
