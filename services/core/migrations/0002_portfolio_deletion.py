"""Portfolios that are being deleted keep their row until the end, but not their name."""

import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    safe_because = (
        "a household has a few portfolios: the index is made in a moment, and asks less than the one it replaces"
    )

    dependencies = [("core", "0001_initial")]

    operations = [
        migrations.AddField("portfolio", "deleting_since", models.DateTimeField(null=True)),
        migrations.RemoveConstraint("portfolio", "core_portfolio_name_once"),
        migrations.AddConstraint(
            "portfolio",
            models.UniqueConstraint(
                models.F("tenant"),
                django.db.models.functions.text.Lower("name"),
                condition=models.Q(("deleting_since__isnull", True)),
                name="core_portfolio_name_once",
            ),
        ),
    ]
