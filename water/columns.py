"""The column names of the frames that cross rooms, with their dtypes and units.

Instants are `datetime64[s, UTC]`, local days `datetime64[s]` without zone (midnight of the day),
ids are strings, quantities `float64` with NaN where there is none.
"""

METER_ID = "meter_id"
USER_ID = "user_id"
ZONE_ID = "zone_id"

AT = "at"
RECEIVED_AT = "received_at"
REGISTER_M3 = "register_m3"
FLOW_M3_H = "flow_m3_h"
PRESSURE_MPA = "pressure_mpa"
LEVEL_M = "level_m"
QUALITY = "quality"

READINGS = (METER_ID, AT, RECEIVED_AT, REGISTER_M3, FLOW_M3_H, PRESSURE_MPA, LEVEL_M, QUALITY)
"""A frame of readings: sorted by (meter_id, at), one row a reading."""

VERDICT = "verdict"
"""What the series check says of a reading (analytics.series.Verdict)."""

START = "start"
"""The instant at which an hour begins, UTC."""
DAY = "day"
"""The local day."""
VOLUME_M3 = "volume_m3"
"""Volume of a period, m³: register at its end − register at its start; NaN = nothing known."""
MEASURED_SHARE = "measured_share"
ESTIMATED_SHARE = "estimated_share"
MISSING_SHARE = "missing_share"

SHARES = (MEASURED_SHARE, ESTIMATED_SHARE, MISSING_SHARE)
"""Shares of a period's time (together 1): measured, interpolated over a gap, unknown."""

HOURLY = (METER_ID, START, VOLUME_M3, *SHARES)
"""A frame of hourly volumes: sorted by (meter_id, start)."""
LOWEST_HOUR_M3 = "lowest_hour_m3"
"""The lowest wholly measured hourly volume of a day, m³; NaN when no hour is wholly measured."""
DAILY = (METER_ID, DAY, VOLUME_M3, LOWEST_HOUR_M3, *SHARES)
"""A frame of daily volumes: sorted by (meter_id, day)."""

INFLOW_M3 = "inflow_m3"
"""Net inflow of a zone: inlets − outlets, m³."""
LARGE_USE_M3 = "large_use_m3"
"""Metered use of the zone's large users, m³."""
MINIMUM_NIGHT_FLOW_M3_H = "minimum_night_flow_m3_h"
NIGHT_USE_M3_H = "night_use_m3_h"
"""Measured use of the large users in the hour of the minimum night flow, m³/h."""
NET_NIGHT_FLOW_M3_H = "net_night_flow_m3_h"
BASELINE_M3_H = "baseline_m3_h"

ZONE_HOURS = (ZONE_ID, START, INFLOW_M3, LARGE_USE_M3, MEASURED_SHARE)
ZONE_DAYS = (ZONE_ID, DAY, INFLOW_M3, LARGE_USE_M3, *SHARES)
ZONE_NIGHTS = (
    ZONE_ID, DAY, START, MINIMUM_NIGHT_FLOW_M3_H, NIGHT_USE_M3_H, NET_NIGHT_FLOW_M3_H,
    BASELINE_M3_H, MEASURED_SHARE,
)  # fmt: skip
"""A frame of nights: `day` is the local day, `start` the hour (UTC) in which the minimum fell."""

PLAN_STATUS = (
    USER_ID, "year", "as_of", "plan_m3", "plan_to_date_m3", "used_m3", "use_rate",
    "projected_m3", "projected_rate", "level", *SHARES,
)  # fmt: skip
"""A frame of plan execution, one row a user: use_rate = used / plan to date, projected_rate =
projected use at the year's end / plan of the year; level is a ladder step or ""."""
