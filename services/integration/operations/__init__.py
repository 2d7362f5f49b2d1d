"""What is done with links to banks. The network is never waited for inside a transaction."""

from services.integration.operations.accounts import (
    AccountLinkedAlready,
    count_twins,
    delete_linked_accounts,
    set_account_currency,
)
from services.integration.operations.institutions import LONGEST_QUERY, find_institutions
from services.integration.operations.linking import (
    CompletedLink,
    StartedLink,
    complete_link,
    delete_links,
    forget_unfinished_links,
    request_removal,
    run_removal,
    start_link,
    start_renewal,
)
from services.integration.operations.provider import PROVIDER, BankNotConfigured, LinkNotFinished, LinkRemoved
from services.integration.operations.syncing import AccountUnknown, Imported, request_sync, run_sync, stop_syncs

__all__ = [
    "LONGEST_QUERY",
    "PROVIDER",
    "AccountLinkedAlready",
    "AccountUnknown",
    "BankNotConfigured",
    "CompletedLink",
    "Imported",
    "LinkNotFinished",
    "LinkRemoved",
    "StartedLink",
    "complete_link",
    "count_twins",
    "delete_linked_accounts",
    "delete_links",
    "find_institutions",
    "forget_unfinished_links",
    "request_removal",
    "request_sync",
    "run_removal",
    "run_sync",
    "set_account_currency",
    "start_link",
    "start_renewal",
    "stop_syncs",
]
