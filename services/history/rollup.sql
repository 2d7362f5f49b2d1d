-- Works out what each asset and each portfolio of a batch was worth at the end of each day, and makes the stored rows equal to it.
--
-- In:   portfolio_ids, currencies, units (of each currency: its minor unit in ten-thousandths), from_days, changed_days (the first
--       day whose values or transactions changed; NULL: none), to_days: parallel arrays; fresh_days; earliest (no history before
--       it); largest (the largest amount that can be stored).
-- Out:  one row: how many rows of history_assetday and history_portfolioday were written or deleted. A second run gives zeros.
--
-- An asset's value on a day is its newest observed value on or before that day, plus the booked transactions since. Before its
-- first observed value it is worked back: that value less the transactions in between (estimated). Money is in ten-thousandths.
-- What a bank keeps was there before it was linked: each such asset is worked back to the first day of which any bank of the
-- portfolio tells. What a person keeps begins with its first value.
-- Rates: units of a currency per euro; the newest on or before the day, else the first after it (estimated).
-- An amount beyond `largest` is cut to it (estimated), so that one absurd portfolio can't stop the others of its batch.
WITH wanted AS MATERIALIZED (
    SELECT p.tenant_id, w.*
    FROM unnest(%(portfolio_ids)s::uuid[], %(currencies)s::text[], %(units)s::int[], %(from_days)s::date[],
                %(changed_days)s::date[], %(to_days)s::date[])
        AS w (portfolio_id, currency, unit, from_day, changed_day, to_day)
    JOIN core_portfolio p ON p.id = w.portfolio_id
),
told AS (
    SELECT a.tenant_id, a.id AS asset_id, a.portfolio_id, a.currency, a.closed_on, a.source <> 'manual' AS imported,
           seen.first_value, least(seen.first_value, moved.first_day) AS first_day
    FROM wanted w
    JOIN core_asset a ON a.tenant_id = w.tenant_id AND a.portfolio_id = w.portfolio_id
    CROSS JOIN LATERAL (
        SELECT min(v."on") AS first_value FROM core_valuation v WHERE v.tenant_id = a.tenant_id AND v.asset_id = a.id
    ) seen
    CROSS JOIN LATERAL (
        SELECT min(x.booked_on) AS first_day FROM core_transaction x
        WHERE x.tenant_id = a.tenant_id AND x.asset_id = a.id AND NOT x.pending
    ) moved
),
known AS MATERIALIZED (
    SELECT tenant_id, asset_id, portfolio_id, currency, closed_on, first_value,
           CASE WHEN imported AND first_day IS NOT NULL
                THEN min(first_day) OVER (PARTITION BY portfolio_id, imported)
                ELSE first_day END AS first_day
    FROM told
),
-- What is worked back depends on later days: a change on or before an asset's first observed value reaches back to its beginning.
target AS MATERIALIZED (
    SELECT w.tenant_id, w.portfolio_id, w.currency, w.unit, w.to_day, min(k.first_day) AS began,
           greatest(
               least(w.from_day, min(k.first_day) FILTER (WHERE coalesce(k.first_value, 'infinity') >= w.changed_day)),
               %(earliest)s
           ) AS from_day
    FROM wanted w
    LEFT JOIN known k ON k.portfolio_id = w.portfolio_id
    GROUP BY w.tenant_id, w.portfolio_id, w.currency, w.unit, w.from_day, w.to_day
),
asset AS MATERIALIZED (
    SELECT k.tenant_id, k.asset_id, k.portfolio_id, k.currency, t.currency AS portfolio_currency, t.unit, t.from_day,
           greatest(t.from_day, k.first_day) AS first_day,
           CASE WHEN k.first_day IS NOT NULL THEN least(t.to_day, k.closed_on - 1) END AS last_day
    FROM target t
    JOIN known k ON k.portfolio_id = t.portfolio_id
),
-- What each asset is worth on its first day here: from the newest value until then, else worked back from the first one after.
opening AS MATERIALIZED (
    SELECT a.*, older."on" IS NULL AS worked_back,
           CASE WHEN older."on" IS NULL THEN newer.value - moved.amount ELSE older.value + moved.amount END AS value
    FROM asset a
    LEFT JOIN LATERAL (
        SELECT v."on", v.value FROM core_valuation v
        WHERE v.tenant_id = a.tenant_id AND v.asset_id = a.asset_id AND v."on" <= a.first_day ORDER BY v."on" DESC LIMIT 1
    ) older ON true
    LEFT JOIN LATERAL (
        SELECT v."on", v.value FROM core_valuation v
        WHERE v.tenant_id = a.tenant_id AND v.asset_id = a.asset_id AND v."on" > a.first_day AND older."on" IS NULL
        ORDER BY v."on" LIMIT 1
    ) newer ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(x.amount), 0) AS amount FROM core_transaction x
        WHERE x.tenant_id = a.tenant_id AND x.asset_id = a.asset_id AND NOT x.pending
          AND x.booked_on > coalesce(older."on", a.first_day) AND x.booked_on <= coalesce(newer."on", a.first_day)
    ) moved
    WHERE a.first_day <= a.last_day
),
-- What happened after the first day.
observed AS MATERIALIZED (
    SELECT o.asset_id, v."on" AS day, v.value FROM opening o
    JOIN core_valuation v
        ON v.tenant_id = o.tenant_id AND v.asset_id = o.asset_id AND v."on" > o.first_day AND v."on" <= o.last_day
),
moved AS MATERIALIZED (
    SELECT o.asset_id, x.booked_on AS day, sum(x.amount) AS amount FROM opening o
    JOIN core_transaction x
        ON x.tenant_id = o.tenant_id AND x.asset_id = o.asset_id AND x.booked_on > o.first_day AND x.booked_on <= o.last_day
    WHERE NOT x.pending
    GROUP BY o.asset_id, x.booked_on
),
-- One row per asset and day. `era` counts the observed values since the first day: within an era, changes add up.
day AS (
    SELECT o.tenant_id, o.asset_id, o.portfolio_id, o.currency, o.portfolio_currency, o.unit, d.day, o.worked_back,
           CASE WHEN d.day = o.first_day THEN o.value ELSE v.value END AS observed,
           CASE WHEN d.day = o.first_day OR v.value IS NOT NULL THEN 0 ELSE coalesce(m.amount, 0) END AS change,
           count(v.value) OVER (PARTITION BY o.asset_id ORDER BY d.day) AS era
    FROM opening o
    CROSS JOIN LATERAL (SELECT o.first_day + n AS day FROM generate_series(0, o.last_day - o.first_day) n) d
    LEFT JOIN observed v ON v.asset_id = o.asset_id AND v.day = d.day
    LEFT JOIN moved m ON m.asset_id = o.asset_id AND m.day = d.day
),
summed AS (
    SELECT day.*, max(observed) OVER era_of_asset + sum(change) OVER (era_of_asset ORDER BY day) AS value
    FROM day
    WINDOW era_of_asset AS (PARTITION BY asset_id, era)
),
worth AS MATERIALIZED (
    SELECT tenant_id, asset_id, portfolio_id, currency, portfolio_currency, unit, day,
           CASE WHEN abs(value) > %(largest)s THEN sign(value) * %(largest)s ELSE value END AS value,
           worked_back AND era = 0 OR abs(value) > %(largest)s AS estimated
    FROM summed
),
rate AS MATERIALIZED (
    SELECT wanted.currency, wanted.day,
           CASE WHEN wanted.currency = 'EUR' THEN 1 ELSE coalesce(older.per_euro, newer.per_euro) END AS per_euro,
           coalesce(newer.per_euro IS NOT NULL OR wanted.day - older."on" > %(fresh_days)s, false) AS estimated
    FROM (
        SELECT span.currency, span.first_day + n AS day
        FROM (
            SELECT pair.currency, min(o.first_day) AS first_day, max(o.last_day) AS last_day
            FROM opening o CROSS JOIN LATERAL (VALUES (o.currency), (o.portfolio_currency)) pair (currency)
            WHERE o.currency <> o.portfolio_currency
            GROUP BY pair.currency
        ) span
        CROSS JOIN LATERAL generate_series(0, span.last_day - span.first_day) n
    ) wanted
    LEFT JOIN LATERAL (
        SELECT r."on", r.per_euro FROM exchange_rate r
        WHERE r.currency = wanted.currency AND r."on" <= wanted.day ORDER BY r."on" DESC LIMIT 1
    ) older ON true
    LEFT JOIN LATERAL (
        SELECT r.per_euro FROM exchange_rate r
        WHERE r.currency = wanted.currency AND r."on" > wanted.day AND older."on" IS NULL ORDER BY r."on" LIMIT 1
    ) newer ON true
),
-- Each asset's worth in the portfolio's currency, rounded to its minor unit so that the parts add up to the totals shown.
-- Halves go away from zero. div() cuts the exact quotient, where "/" would round it a first time.
converted AS (
    SELECT w.portfolio_id, w.day, w.estimated OR coalesce(b.estimated OR q.estimated, false) AS estimated,
           sign(w.value) * w.unit * div(2 * abs(w.value) * per_euro.quote + w.unit * per_euro.base, 2 * w.unit * per_euro.base)
               AS value
    FROM worth w
    LEFT JOIN rate b ON b.currency = w.currency AND b.day = w.day AND w.currency <> w.portfolio_currency
    LEFT JOIN rate q ON q.currency = w.portfolio_currency AND q.day = w.day AND w.currency <> w.portfolio_currency
    CROSS JOIN LATERAL (
        SELECT CASE WHEN w.currency = w.portfolio_currency THEN 1 ELSE b.per_euro END AS base,
               CASE WHEN w.currency = w.portfolio_currency THEN 1 ELSE q.per_euro END AS quote
    ) per_euro
),
added_up AS (
    SELECT portfolio_id, day, sum(greatest(value, 0)) AS assets, sum(least(value, 0)) AS debts,
           bool_or(estimated) FILTER (WHERE value IS NOT NULL) AS estimated, count(*) - count(value) AS missing
    FROM converted
    GROUP BY portfolio_id, day
),
total AS MATERIALIZED (
    SELECT t.tenant_id, t.portfolio_id, t.currency, d.day,
           least(coalesce(s.assets, 0), %(largest)s)::bigint AS assets,
           greatest(coalesce(s.debts, 0), -%(largest)s)::bigint AS debts,
           coalesce(s.estimated OR s.assets > %(largest)s OR s.debts < -%(largest)s, false) AS estimated,
           coalesce(s.missing, 0)::smallint AS missing
    FROM target t
    CROSS JOIN LATERAL (SELECT greatest(t.from_day, t.began) AS first_day) span
    CROSS JOIN LATERAL (SELECT span.first_day + n AS day FROM generate_series(0, t.to_day - span.first_day) n) d
    LEFT JOIN added_up s ON s.portfolio_id = t.portfolio_id AND s.day = d.day
    WHERE t.began IS NOT NULL
),
asset_days AS (
    INSERT INTO history_assetday (tenant_id, asset_id, day, value, estimated)
    SELECT tenant_id, asset_id, day, value::bigint, estimated FROM worth WHERE value IS NOT NULL ORDER BY tenant_id, asset_id, day
    ON CONFLICT (tenant_id, asset_id, day) DO UPDATE SET value = excluded.value, estimated = excluded.estimated
    WHERE (history_assetday.value, history_assetday.estimated) IS DISTINCT FROM (excluded.value, excluded.estimated)
    RETURNING 1
),
asset_days_gone AS (
    DELETE FROM history_assetday h USING asset a
    WHERE h.tenant_id = a.tenant_id AND h.asset_id = a.asset_id AND h.day >= a.from_day
      AND NOT EXISTS (SELECT FROM worth w WHERE w.asset_id = h.asset_id AND w.day = h.day AND w.value IS NOT NULL)
    RETURNING 1
),
portfolio_days AS (
    INSERT INTO history_portfolioday (tenant_id, portfolio_id, day, currency, assets, debts, estimated, missing)
    SELECT tenant_id, portfolio_id, day, currency, assets, debts, estimated, missing FROM total
    ORDER BY tenant_id, portfolio_id, day
    ON CONFLICT (tenant_id, portfolio_id, day) DO UPDATE
    SET currency = excluded.currency, assets = excluded.assets, debts = excluded.debts,
        estimated = excluded.estimated, missing = excluded.missing
    WHERE (history_portfolioday.currency, history_portfolioday.assets, history_portfolioday.debts,
           history_portfolioday.estimated, history_portfolioday.missing)
        IS DISTINCT FROM (excluded.currency, excluded.assets, excluded.debts, excluded.estimated, excluded.missing)
    RETURNING 1
),
portfolio_days_gone AS (
    DELETE FROM history_portfolioday h USING target t
    WHERE h.tenant_id = t.tenant_id AND h.portfolio_id = t.portfolio_id AND h.day >= t.from_day
      AND NOT EXISTS (SELECT FROM total w WHERE w.portfolio_id = h.portfolio_id AND w.day = h.day)
    RETURNING 1
)
SELECT (SELECT count(*) FROM asset_days) + (SELECT count(*) FROM asset_days_gone),
       (SELECT count(*) FROM portfolio_days) + (SELECT count(*) FROM portfolio_days_gone)
