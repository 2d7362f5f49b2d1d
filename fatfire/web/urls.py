"""The URLs of the pages."""

from django.urls import path

from fatfire.web import accounts, assets, currency, dashboard, linking, net_worth, portfolios, shell, sign_in

urlpatterns = [
    path("", dashboard.show, name="dashboard"),
    path("accounts", accounts.show, name="accounts"),
    path("accounts/<uuid:asset_id>/rename", accounts.rename, name="rename-account"),
    path("accounts/<uuid:account_id>/currency", currency.of_account, name="account-currency"),
    path("jobs/<uuid:job_id>/toast", accounts.toast, name="job-toast"),
    path("link-to-bank", linking.choose, name="link-to-bank"),
    path("links/<uuid:link_id>/return", linking.finish, name="finish-link"),
    path("links/<uuid:link_id>/refresh", linking.refresh, name="refresh-link"),
    path("links/<uuid:link_id>/renew", linking.renew, name="renew-link"),
    path("links/<uuid:link_id>/count-twins", linking.count_twins, name="count-twins"),
    path("links/<uuid:link_id>/remove", linking.remove, name="remove-link"),
    path("net-worth", net_worth.show, name="net-worth"),
    path("assets", assets.show_all, name="assets"),
    path("assets/new", assets.add, name="add-asset"),
    path("assets/<uuid:asset_id>", assets.show_one, name="asset"),
    path("assets/<uuid:asset_id>/rename", assets.rename, name="rename-asset"),
    path("assets/<uuid:asset_id>/currency", currency.of_asset, name="asset-currency"),
    path("assets/<uuid:asset_id>/close", assets.close, name="close-asset"),
    path("portfolios", portfolios.show_all, name="portfolios"),
    path("portfolios/new", portfolios.add, name="add-portfolio"),
    path("portfolios/<uuid:portfolio_id>/rename", portfolios.rename, name="rename-portfolio"),
    path("portfolios/<uuid:portfolio_id>/currency", portfolios.change_currency, name="portfolio-currency"),
    path("switch-portfolio", shell.switch_portfolio, name="switch-portfolio"),
    path("sign-in", sign_in.ask_for_link, name="sign-in"),
    path("sign-in/<str:secret>", sign_in.use_link, name="use-link"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    path("switch-tenant", sign_in.switch_tenant, name="switch-tenant"),
]
