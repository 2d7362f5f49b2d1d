"""Writing what a person has. A write that changes what something was worth also has its portfolio's history redone."""

from services.core.models import Asset, AssetKind, Portfolio, Side
from services.core.operations.assets import (
    AssetClosed,
    AssetOpen,
    NotManual,
    change_currency,
    close_asset,
    close_assets,
    create_asset,
    import_asset,
    import_balances,
    rename_asset,
    reopen_asset,
    set_value,
)
from services.core.operations.deletion import (
    PortfolioNotBeingDeleted,
    delete_assets,
    delete_portfolio,
    delete_transactions,
    delete_values,
    mark_for_deletion,
    require_deletion,
    restore_portfolio,
)
from services.core.operations.portfolios import (
    NameTaken,
    PortfolioBeingDeleted,
    create_portfolio,
    hold_portfolio,
    update_portfolio,
)
from services.core.operations.transactions import (
    ImportedTransaction,
    import_transactions,
    note_transaction,
)

# The models too: of this service others may import only operations, queries and jobs.
__all__ = [
    "Asset",
    "AssetClosed",
    "AssetKind",
    "AssetOpen",
    "ImportedTransaction",
    "NameTaken",
    "NotManual",
    "Portfolio",
    "PortfolioBeingDeleted",
    "PortfolioNotBeingDeleted",
    "Side",
    "change_currency",
    "close_asset",
    "close_assets",
    "create_asset",
    "create_portfolio",
    "delete_assets",
    "delete_portfolio",
    "delete_transactions",
    "delete_values",
    "hold_portfolio",
    "import_asset",
    "import_balances",
    "import_transactions",
    "mark_for_deletion",
    "note_transaction",
    "rename_asset",
    "reopen_asset",
    "require_deletion",
    "restore_portfolio",
    "set_value",
    "update_portfolio",
]
