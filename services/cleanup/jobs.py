"""Jobs of the cleanup service."""

from services.jobs.jobs import JobKind, Reach, Step
from tenants.permissions import Role

APPLY_RETENTION = JobKind("cleanup.apply_retention", reach=Reach.PLATFORM, time_limit_s=900)

REMOVE_LINKS = "remove_links"
DELETE_ASSETS = "delete_assets"
DELETE_ASSET_HISTORY = "delete_asset_history"
DELETE_PORTFOLIO_HISTORY = "delete_portfolio_history"
DELETE_VIDEOS = "delete_videos"
DELETE_PORTFOLIO = JobKind(
    "cleanup.delete_portfolio",
    time_limit_s=900,
    role=Role.ADMIN,
    steps=(
        Step(REMOVE_LINKS),
        Step(DELETE_ASSETS, (REMOVE_LINKS,)),
        Step(DELETE_ASSET_HISTORY, (DELETE_ASSETS,)),
        Step(DELETE_PORTFOLIO_HISTORY, (DELETE_ASSETS,)),
        Step(DELETE_VIDEOS, (DELETE_ASSETS,)),
        Step("delete_portfolio", (DELETE_ASSET_HISTORY, DELETE_PORTFOLIO_HISTORY, DELETE_VIDEOS)),
    ),
)
"""The subject is a portfolio. Asset rows go with their history, which hangs on them."""
