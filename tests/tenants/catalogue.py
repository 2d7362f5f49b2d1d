"""What PostgreSQL's catalogue says about the isolation, compared with what the models and settings declare."""

from collections.abc import Iterator

import psycopg
from django.apps import apps
from django.conf import settings

from tenants.constraints import isolation_of

RECORD_OF_MIGRATIONS = "django_migrations"
OPERATOR_MAY = {"SELECT", "INSERT", "UPDATE", "DELETE"}
TENANT_ID = "( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS \"nullif\")"

UNIQUE_ACROSS_TENANTS = {
    "messaging_connection_once": "AWS names a connection that ended and no tenant; the name is AWS's and tells nothing",
    "accounts_apikey_digest_once": "a key is found before its tenant is known; a hash of 256 random bits tells nothing",
    "tenants_tenant_slug_key": "the slug is a tenant's public name",
}
KEYS_WITHOUT_TENANT = {
    (
        "jobs_jobstep",
        ("job_id",),
    ): "holds the platform's steps, where the tenant is NULL; the composite one is beside it",
}
OF_MEMBERS = {"tenants_user": "(EXISTS ( SELECT\n   FROM tenants_membership m\n  WHERE (m.user_id = tenants_user.id)))"}
"""Tables of people, and whom app_tenant sees in them; the memberships have a policy of their own."""
_OUR_SCHEMAS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


def declared_privileges() -> dict[str, set[str]]:
    """Return what app_tenant may do with each table, as the models and SHARED_MODELS say."""
    declared = {RECORD_OF_MIGRATIONS: set[str]()}
    for model in apps.get_models(include_auto_created=True):
        isolation = isolation_of(model)
        words = isolation.privileges if isolation else settings.SHARED_MODELS[model._meta.label][0]
        declared[model._meta.db_table] = set(words.split(", ")) - {""}
    return declared


def tenant_tables() -> dict[str, str]:
    """Return the column of the tenant in each table that belongs to tenants."""
    found = {model._meta.db_table: isolation_of(model) for model in apps.get_models()}
    return {table: isolation.column for table, isolation in found.items() if isolation}


def faults(database: psycopg.Connection) -> list[str]:
    """Return what is wrong, sorted, each naming the object."""
    found = [*_tables(database), *_policies(database), *_privileges(database), *_functions(database)]
    return sorted([*found, *_roles(database), *_unique_keys(database), *_foreign_keys(database)])


def _tables(database: psycopg.Connection) -> Iterator[str]:
    query = f"""
        SELECT n.nspname, c.relname, c.relkind, c.relrowsecurity AND c.relforcerowsecurity, pg_get_userbyid(c.relowner),
            'security_invoker=true' = ANY (coalesce(c.reloptions, '{{}}'))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OUR_SCHEMAS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    """  # noqa: S608  # constants
    isolated, known = tenant_tables(), declared_privileges()
    for schema, name, kind, closed, owner, as_invoker in database.execute(query):
        if schema != "public":
            yield f"{schema}.{name}: only public has tables"
        elif kind == "m":
            yield f"{name}: a materialised view shows its owner's rows"
        elif kind == "v":
            if not as_invoker:
                yield f"{name}: a view without security_invoker shows its owner's rows"
        elif name not in known:
            yield f"{name}: no model declares the table"
        elif (name in isolated or name in OF_MEMBERS) and not closed:
            yield f"{name}: row-level security isn't enabled and forced"
        if owner != "app_owner":
            yield f"{name}: belongs to {owner}"


def _policies(database: psycopg.Connection) -> Iterator[str]:
    query = """
        SELECT c.relname, p.polcmd, p.polpermissive, p.polroles::regrole[]::text[],
            pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
    """
    policies: dict[str, list[tuple[object, ...]]] = {}
    for table, *policy in database.execute(query):
        policies.setdefault(table, []).append((*policy[:2], tuple(policy[2]), *policy[3:]))
    for table, column in tenant_tables().items():
        mine = f"({column} = {TENANT_ID})"
        wanted = [("*", True, ("app_operator",), "true", "true"), ("*", True, ("app_tenant",), mine, mine)]
        if sorted(policies.pop(table, []), key=str) != wanted:
            yield f"{table}: the policies aren't the tenant's and the operator's"
    for table, members in OF_MEMBERS.items():
        wanted = [("*", True, ("app_operator",), "true", "true"), ("r", True, ("app_tenant",), members, None)]
        if sorted(policies.pop(table, []), key=str) != wanted:
            yield f"{table}: the policies aren't the members' and the operator's"
    yield from (f"{table}: has policies and isn't a tenant's" for table in policies)


def _privileges(database: psycopg.Connection) -> Iterator[str]:
    query = """
        SELECT c.relname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
            aclexplode(coalesce(c.relacl,
                acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND a.grantee <> c.relowner
    """
    granted: dict[tuple[str, str], set[str]] = {}
    for relation, grantee, privilege in database.execute(query):
        granted.setdefault((relation, grantee), set()).add(privilege)
    wanted = {}
    for table, words in declared_privileges().items():
        wanted[table, "app_tenant"] = words
        wanted[table, "app_operator"] = OPERATOR_MAY if table != RECORD_OF_MIGRATIONS else set()
    for relation, grantee in granted.keys() | wanted.keys():
        is_so, should_be = granted.get((relation, grantee), set()), wanted.get((relation, grantee), set())
        if is_so != should_be:
            yield f"{relation}: {grantee} may {sorted(is_so)}, not {sorted(should_be)}"
    columns = (
        "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid >= 16384"
    )
    for table, column in database.execute(columns):
        yield f"{table}.{column}: has grants of its own"
    for privilege in ("CREATE", "TEMPORARY"):
        for role in ("app_tenant", "app_operator"):
            asked = "SELECT has_database_privilege(%s, current_database(), %s)"
            if database.execute(asked, [role, privilege]).fetchone() == (True,):
                yield f"{role}: may {privilege} in the database"
    schemas = f"""
        SELECT n.nspname, r.rolname FROM pg_namespace n, pg_roles r
        WHERE {_OUR_SCHEMAS} AND r.rolname IN ('app_tenant', 'app_operator')
            AND has_schema_privilege(r.oid, n.oid, 'CREATE') AND n.nspname || r.rolname <> 'lookupapp_operator'
    """  # noqa: S608  # constants
    for schema, role in database.execute(schemas):
        yield f"{schema}: {role} may create in it"


def _functions(database: psycopg.Connection) -> Iterator[str]:
    query = f"""
        SELECT p.oid::regprocedure::text, n.nspname, p.prosecdef, pg_get_userbyid(p.proowner),
            coalesce(p.proconfig, '{{}}'),
            ARRAY(SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END
                FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                WHERE a.grantee <> p.proowner ORDER BY 1)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OUR_SCHEMAS}
    """  # noqa: S608  # constants
    for name, schema, is_definer, owner, config, grantees in database.execute(query):
        if grantees != ["app_tenant"]:
            yield f"{name}: may be called by {grantees}"
        if is_definer and schema != "lookup":
            yield f"{name}: SECURITY DEFINER outside the schema lookup"
        if schema == "lookup" and (owner != "app_operator" or config != ["search_path=pg_catalog, pg_temp"]):
            yield f"{name}: runs as {owner} with {config}"


def _roles(database: psycopg.Connection) -> Iterator[str]:
    roles = """
        SELECT rolname FROM pg_roles WHERE rolname LIKE 'app\\_%'
        AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
    """
    for (role,) in database.execute(roles):
        yield f"{role}: may more than a role of ours"
    members = "SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members"
    for member, role in database.execute(members):
        if member.startswith("app_") and (member, role) != ("app_owner", "app_operator"):
            yield f"{member}: is a member of {role}"


def _unique_keys(database: psycopg.Connection) -> Iterator[str]:
    query = """
        SELECT t.relname, c.relname, ARRAY(SELECT a.attname::text FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
        WHERE i.indisunique AND NOT i.indisprimary
    """
    isolated = tenant_tables()
    for table, index, columns in database.execute(query):
        if table in isolated and isolated[table] not in columns and index not in UNIQUE_ACROSS_TENANTS:
            yield f"{index}: is unique across tenants"


def _foreign_keys(database: psycopg.Connection) -> Iterator[str]:
    names = (
        "ARRAY(SELECT a.attname::text FROM unnest(k.{0}) WITH ORDINALITY u (n, o) JOIN pg_attribute a ON a.attnum = u.n"
    )
    query = f"""
        SELECT k.conname, f.relname, t.relname,
            {names.format("conkey")} AND a.attrelid = k.conrelid ORDER BY o),
            {names.format("confkey")} AND a.attrelid = k.confrelid ORDER BY o)
        FROM pg_constraint k JOIN pg_class f ON f.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
        WHERE k.contype = 'f'
    """  # noqa: S608  # constants
    isolated = tenant_tables()
    for name, table, target, columns, referenced in database.execute(query):
        if target not in isolated or (table, tuple(columns)) in KEYS_WITHOUT_TENANT:
            continue
        pairs = zip(columns, referenced, strict=True)
        if table not in isolated or (isolated[table], isolated[target]) not in pairs:
            yield f"{name}: points from {table} to {target} without the tenant"
