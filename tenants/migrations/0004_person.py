"""Finding the person of a session or of a sign-in link, once people are shown to their tenants alone (the next one)."""

from django.db import migrations

from tenants.lookups import create_lookup


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_session_epoch")]

    operations = [
        # All columns, whichever there will be: it is the person's own row, and found by an id that can't be guessed.
        create_lookup(
            "person(wanted uuid)",
            returns="SETOF public.tenants_user",
            body="SELECT * FROM public.tenants_user WHERE id = wanted",
        ),
    ]
