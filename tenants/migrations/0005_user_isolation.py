"""Showing people to their tenants alone.

The code before `0004_person` looks a session's person up in the table, and finds nobody any more: where nobody may be
asked to sign in while a release goes out, migrate to 0004, deploy, and then migrate the rest.
"""

from django.db import migrations

import tenants.constraints


class Migration(migrations.Migration):
    safe_because = "it is not for the release before 0004; the docstring says how to deploy the two apart"

    dependencies = [("tenants", "0004_person")]

    operations = [
        migrations.AddConstraint(
            model_name="user", constraint=tenants.constraints.MembersOnly(name="tenants_user_isolation")
        ),
    ]
