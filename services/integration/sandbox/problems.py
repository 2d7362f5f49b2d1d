"""Plaid's error answers. Source: https://plaid.com/docs/errors/."""

from typing import Any

# Code: type and HTTP status.
PROBLEMS = {
    "NOT_FOUND": ("INVALID_REQUEST", 404),
    "INVALID_BODY": ("INVALID_REQUEST", 400),
    "MISSING_FIELDS": ("INVALID_REQUEST", 400),
    "INVALID_FIELD": ("INVALID_REQUEST", 400),
    "INVALID_API_KEYS": ("INVALID_INPUT", 400),
    "INVALID_PUBLIC_TOKEN": ("INVALID_INPUT", 400),
    "INVALID_ACCESS_TOKEN": ("INVALID_INPUT", 400),
    "INVALID_LINK_TOKEN": ("INVALID_INPUT", 400),
    "INVALID_INSTITUTION": ("INVALID_INPUT", 400),
    "ITEM_NOT_FOUND": ("ITEM_ERROR", 400),
    "ITEM_LOGIN_REQUIRED": ("ITEM_ERROR", 400),
    "ACCESS_NOT_GRANTED": ("ITEM_ERROR", 400),
    "USER_PERMISSION_REVOKED": ("ITEM_ERROR", 400),
    "PRODUCT_NOT_READY": ("ITEM_ERROR", 400),
    "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION": ("TRANSACTIONS_ERROR", 400),
    "INSTITUTION_DOWN": ("INSTITUTION_ERROR", 400),
    "RATE_LIMIT": ("RATE_LIMIT_EXCEEDED", 429),
    "INTERNAL_SERVER_ERROR": ("API_ERROR", 500),
}


class Problem(Exception):
    """The request is answered with one of `PROBLEMS`."""

    def __init__(self, code: str, message: str = "") -> None:
        """Answer with `code`; `message` is for the developer."""
        super().__init__(message or code.replace("_", " ").lower())
        self.code = code
        self.error_type, self.status = PROBLEMS[code]

    def body(self, request_id: str) -> dict[str, Any]:
        """Return Plaid's error object."""
        return {
            "error_type": self.error_type,
            "error_code": self.code,
            "error_message": str(self),
            "display_message": None,
            "request_id": request_id,
            "status": self.status,
        }
