"""Asking for a sign-in link before anybody is known."""

from django.db import migrations

from tenants.lookups import create_lookup


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_sign_in_request"), ("jobs", "0002_for_anyone")]

    operations = [
        create_lookup(
            "request_sign_in(email text, network text, next_path text, at timestamptz, "
            "since timestamptz, most_of_address int, most_of_network int)",
            returns="uuid",
            # Two requests at once would count the same rows; the locks are always taken in this order.
            body="""
                SELECT pg_advisory_xact_lock(hashtextextended('sign-in address ' || lower($1), 0));
                SELECT pg_advisory_xact_lock(hashtextextended('sign-in network ' || $2, 0));
                INSERT INTO public.accounts_signinrequest (id, email, network, next_path, created_at)
                SELECT gen_random_uuid(), lower($1), $2, $3, $4
                WHERE $6 > (SELECT count(*) FROM public.accounts_signinrequest r
                        WHERE r.email = lower($1) AND r.created_at > $5)
                    AND $7 > (SELECT count(*) FROM public.accounts_signinrequest r
                        WHERE r.network = $2 AND r.created_at > $5)
                RETURNING id
            """,
        ),
    ]
