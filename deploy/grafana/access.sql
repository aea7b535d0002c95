-- The role of the dashboards: it reads figures and counts, no accounts, keys or contacts.
-- Safe to run again.
\set password `cat "$GRAFANA_PASSWORD_FILE"`
SELECT 'CREATE ROLE grafana LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana')
\gexec
ALTER ROLE grafana PASSWORD :'password';
ALTER ROLE grafana SET default_transaction_read_only = on;
GRANT SELECT ON zone, meter, zone_day, zone_night, city_rate, alert, arrival, run_state, ledger_tally TO grafana;
GRANT SELECT (state) ON notice TO grafana;
GRANT SELECT (supplier, reason) ON ledger_quarantine TO grafana;
