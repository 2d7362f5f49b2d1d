"""How the console looks and what its menu holds; read by Unfold as the setting UNFOLD.

The colours are those of the pages (fatfire/web/static/fatfire/app.css): stone, with an orange for what can be pressed.
"""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _entry(title: str, icon: str, name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}


def settings(*, environment: str) -> dict[str, Any]:
    """Return Unfold's settings; `environment` is shown on every page, so that nobody takes one for another."""
    return {
        "SITE_TITLE": "fatfire console",
        "SITE_HEADER": "fatfire",
        "SITE_SUBHEADER": "Operator console",
        "SITE_SYMBOL": "local_fire_department",
        "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("fatfire/icon.svg")}],
        "SITE_URL": None,
        "SHOW_VIEW_ON_SITE": False,
        "SHOW_HISTORY": True,
        "ENVIRONMENT": lambda _: [environment, "danger" if environment == "production" else "info"],
        "STYLES": [lambda _: static("console/console.css")],
        "SCRIPTS": [lambda _: static("console/console.js")],
        "COMMAND": {"search_callback": "fatfire.console.search.find"},
        "COLORS": {
            "base": {
                "50": "#fafaf9", "100": "#f5f5f4", "200": "#e7e5e4", "300": "#d6d3d1", "400": "#a8a29e",
                "500": "#78716c", "600": "#57534e", "700": "#44403c", "800": "#292524", "900": "#191817",
                "950": "#0f0e0d",
            },
            "primary": {
                "50": "#fff7ed", "100": "#ffedd5", "200": "#fed7aa", "300": "#fdba74", "400": "#fdba74",
                "500": "#fb923c", "600": "#c2410c", "700": "#9a3412", "800": "#7c2d12", "900": "#431407",
                "950": "#2c0d04",
            },
            "font": {
                "subtle-light": "#6f6963", "subtle-dark": "#a8a29e", "default-light": "#57534e",
                "default-dark": "#d6d3d1", "important-light": "#1c1917", "important-dark": "#f5f5f4",
            },
        },
        "SIDEBAR": {
            "show_search": True,
            "command_search": True,
            "show_all_applications": False,
            "navigation": [
                {"title": "Overview", "items": [_entry("Dashboard", "space_dashboard", "index")]},
                {
                    "title": "Households",
                    "separator": True,
                    "items": [
                        _entry("Tenants", "domain", "tenants_tenant_changelist"),
                        _entry("Users", "group", "tenants_user_changelist"),
                        _entry("Memberships", "badge", "tenants_membership_changelist"),
                        _entry("API keys", "key", "accounts_apikey_changelist"),
                        _entry("Sign-in links", "mail_lock", "accounts_signintoken_changelist"),
                    ],
                },
                {
                    "title": "Wealth",
                    "separator": True,
                    "items": [
                        _entry("Portfolios", "pie_chart", "core_portfolio_changelist"),
                        _entry("Assets", "account_balance_wallet", "core_asset_changelist"),
                        _entry("Values", "show_chart", "core_valuation_changelist"),
                        _entry("Transactions", "receipt_long", "core_transaction_changelist"),
                        _entry("Bank links", "account_balance", "integration_link_changelist"),
                        _entry("Linked accounts", "link", "integration_linkedaccount_changelist"),
                        _entry("Policies", "umbrella", "insurance_policy_changelist"),
                        _entry("Receipts", "receipt", "receipts_receipt_changelist"),
                        _entry("Videos", "movie", "media_video_changelist"),
                        _entry("Video allowances", "speed", "media_allowance_changelist"),
                        _entry("Tax years", "request_quote", "tax_taxyear_changelist"),
                        _entry("Exchange rates", "currency_exchange", "rates"),
                    ],
                },
                {
                    "title": "Operations",
                    "separator": True,
                    "items": [
                        _entry("Jobs", "sync", "jobs_job_changelist"),
                        _entry("Dead letters", "markunread_mailbox", "dead_letters"),
                        _entry("Invocations", "bolt", "telemetry_invocation_changelist"),
                        _entry("Audit trail", "history", "tenants_auditevent_changelist"),
                        _entry("Operators' log", "fact_check", "admin_logentry_changelist"),
                    ],
                },
            ],
        },
    }  # fmt: skip
