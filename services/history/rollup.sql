-- Works out what each asset and each portfolio of a batch was worth at the end of each day, and makes the stored rows equal to it.
--
-- In:   portfolio_ids, currencies, digits (of each currency's minor unit), from_days, to_days: parallel arrays.
-- Out:  one row: how many rows of history_assetday and history_portfolioday were written or deleted. A second run gives zeros.
--
-- An asset's value on a day is its newest observed value on or before that day, plus the booked transactions since. Before its
-- first observed value it is worked back: that value less the transactions in between (estimated). Money is in ten-thousandths.
-- Rates: units of a currency per euro; the newest on or before the day, else the first after it (estimated).
WITH target AS MATERIALIZED (
    SELECT p.tenant_id, t.portfolio_id, t.currency, t.digits, t.from_day, t.to_day
    FROM unnest(%(portfolio_ids)s::uuid[], %(currencies)s::text[], %(digits)s::int[], %(from_days)s::date[], %(to_days)s::date[])
        AS t (portfolio_id, currency, digits, from_day, to_day)
    JOIN core_portfolio p ON p.id = t.portfolio_id
),
asset AS MATERIALIZED (
    SELECT a.tenant_id, a.id AS asset_id, a.portfolio_id, a.currency, t.currency AS portfolio_currency, t.digits,
           greatest(t.from_day, known.first_day) AS first_day, least(t.to_day, a.closed_on - 1) AS last_day
    FROM target t
    JOIN core_asset a ON a.tenant_id = t.tenant_id AND a.portfolio_id = t.portfolio_id
    CROSS JOIN LATERAL (
        SELECT least(
            (SELECT min(v."on") FROM core_valuation v WHERE v.tenant_id = a.tenant_id AND v.asset_id = a.id),
            (SELECT min(x.booked_on) FROM core_transaction x
             WHERE x.tenant_id = a.tenant_id AND x.asset_id = a.id AND NOT x.pending)
        ) AS first_day
    ) known
    WHERE known.first_day IS NOT NULL
),
-- What each asset is worth on its first day here: from the newest value until then, else worked back from the first one after.
opening AS MATERIALIZED (
    SELECT a.*, base."on" > a.first_day AS worked_back,
           base.value + CASE WHEN base."on" <= a.first_day THEN moved.amount ELSE -moved.amount END AS value
    FROM asset a
    LEFT JOIN LATERAL (
        (SELECT v."on", v.value FROM core_valuation v
         WHERE v.tenant_id = a.tenant_id AND v.asset_id = a.asset_id AND v."on" <= a.first_day ORDER BY v."on" DESC LIMIT 1)
        UNION ALL
        (SELECT v."on", v.value FROM core_valuation v
         WHERE v.tenant_id = a.tenant_id AND v.asset_id = a.asset_id AND v."on" > a.first_day ORDER BY v."on" LIMIT 1)
        LIMIT 1
    ) base ON true
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(x.amount), 0)::bigint AS amount FROM core_transaction x
        WHERE x.tenant_id = a.tenant_id AND x.asset_id = a.asset_id AND NOT x.pending
          AND x.booked_on > least(base."on", a.first_day) AND x.booked_on <= greatest(base."on", a.first_day)
    ) moved ON true
    WHERE a.first_day <= a.last_day
),
-- One row per asset and day. `era` counts the observed values since the first day: within an era, changes add up.
day AS (
    SELECT o.tenant_id, o.asset_id, o.portfolio_id, o.currency, o.portfolio_currency, o.digits, o.worked_back, d.day,
           CASE WHEN d.day = o.first_day THEN o.value ELSE v.value END AS observed,
           CASE WHEN d.day = o.first_day OR v.value IS NOT NULL THEN 0 ELSE coalesce(m.amount, 0) END AS change,
           count(v.value) FILTER (WHERE d.day > o.first_day) OVER through_day AS era
    FROM opening o
    CROSS JOIN LATERAL (SELECT generate_series(o.first_day, o.last_day, '1 day')::date AS day) d
    LEFT JOIN core_valuation v ON v.tenant_id = o.tenant_id AND v.asset_id = o.asset_id AND v."on" = d.day
    LEFT JOIN (
        SELECT x.tenant_id, x.asset_id, x.booked_on, sum(x.amount)::bigint AS amount
        FROM core_transaction x
        JOIN opening o ON o.tenant_id = x.tenant_id AND o.asset_id = x.asset_id
        WHERE NOT x.pending AND x.booked_on > o.first_day AND x.booked_on <= o.last_day
        GROUP BY x.tenant_id, x.asset_id, x.booked_on
    ) m ON m.tenant_id = o.tenant_id AND m.asset_id = o.asset_id AND m.booked_on = d.day
    WINDOW through_day AS (PARTITION BY o.asset_id ORDER BY d.day)
),
worth AS MATERIALIZED (
    SELECT tenant_id, asset_id, portfolio_id, currency, portfolio_currency, digits, day,
           (max(observed) OVER era_of_asset + sum(change) OVER (era_of_asset ORDER BY day))::bigint AS value,
           worked_back AND era = 0 AS estimated
    FROM day
    WINDOW era_of_asset AS (PARTITION BY asset_id, era)
),
rate AS MATERIALIZED (
    SELECT wanted.currency, wanted.day, found."on", CASE WHEN wanted.currency = 'EUR' THEN 1 ELSE found.per_euro END AS per_euro,
           coalesce(found."on" > wanted.day OR wanted.day - found."on" > %(fresh_days)s, false) AS estimated
    FROM (
        SELECT DISTINCT pair.currency, w.day
        FROM worth w CROSS JOIN LATERAL (VALUES (w.currency), (w.portfolio_currency)) pair (currency)
        WHERE w.currency <> w.portfolio_currency
    ) wanted
    LEFT JOIN LATERAL (
        (SELECT r."on", r.per_euro FROM exchange_rate r
         WHERE r.currency = wanted.currency AND r."on" <= wanted.day ORDER BY r."on" DESC LIMIT 1)
        UNION ALL
        (SELECT r."on", r.per_euro FROM exchange_rate r
         WHERE r.currency = wanted.currency AND r."on" > wanted.day ORDER BY r."on" LIMIT 1)
        LIMIT 1
    ) found ON true
),
-- Each asset's worth in the portfolio's currency, rounded to its minor unit so that the parts add up to the totals shown.
converted AS (
    SELECT w.tenant_id, w.portfolio_id, w.day,
           (round(CASE WHEN w.currency = w.portfolio_currency THEN w.value ELSE w.value * q.per_euro / b.per_euro END,
                  w.digits - 4))::bigint AS value,
           w.estimated OR coalesce(b.estimated OR q.estimated, false) AS estimated
    FROM worth w
    LEFT JOIN rate b ON b.currency = w.currency AND b.day = w.day AND w.currency <> w.portfolio_currency
    LEFT JOIN rate q ON q.currency = w.portfolio_currency AND q.day = w.day AND w.currency <> w.portfolio_currency
),
total AS MATERIALIZED (
    SELECT t.tenant_id, t.portfolio_id, d.day, t.currency,
           coalesce(sum(c.value) FILTER (WHERE c.value > 0), 0)::bigint AS assets,
           coalesce(sum(c.value) FILTER (WHERE c.value < 0), 0)::bigint AS debts,
           coalesce(bool_or(c.estimated) FILTER (WHERE c.value IS NOT NULL), false) AS estimated,
           count(*) FILTER (WHERE c.day IS NOT NULL AND c.value IS NULL)::smallint AS missing
    FROM target t
    JOIN (SELECT portfolio_id, min(first_day) AS first_day FROM asset GROUP BY portfolio_id) began USING (portfolio_id)
    CROSS JOIN LATERAL (SELECT generate_series(began.first_day, t.to_day, '1 day')::date AS day) d
    LEFT JOIN converted c ON c.portfolio_id = t.portfolio_id AND c.day = d.day
    GROUP BY t.tenant_id, t.portfolio_id, d.day, t.currency
),
asset_days AS (
    INSERT INTO history_assetday (tenant_id, asset_id, day, value, estimated)
    SELECT tenant_id, asset_id, day, value, estimated FROM worth WHERE value IS NOT NULL ORDER BY tenant_id, asset_id, day
    ON CONFLICT (tenant_id, asset_id, day) DO UPDATE SET value = excluded.value, estimated = excluded.estimated
    WHERE (history_assetday.value, history_assetday.estimated) IS DISTINCT FROM (excluded.value, excluded.estimated)
    RETURNING 1
),
asset_days_gone AS (
    DELETE FROM history_assetday h USING core_asset a, target t
    WHERE a.tenant_id = t.tenant_id AND a.portfolio_id = t.portfolio_id
      AND h.tenant_id = a.tenant_id AND h.asset_id = a.id AND h.day >= t.from_day
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
SELECT (SELECT count(*) FROM asset_days), (SELECT count(*) FROM asset_days_gone),
       (SELECT count(*) FROM portfolio_days), (SELECT count(*) FROM portfolio_days_gone)
