import re
from pathlib import Path

from storage.registry import models
from water import columns

ROOT = Path(__file__).parents[2]
NAMES = set(re.findall(r"`([a-z][a-z0-9_]*)`", (ROOT / "docs/glossary.md").read_text("utf-8")))
FIGURES = (
    models.ZoneDayRow,
    models.ZoneNightRow,
    models.PlanStatusRow,
    models.CityRateRow,
    models.ArrivalRow,
)


def test_every_frame_column_stands_in_the_glossary():
    frames = (
        columns.READINGS,
        columns.HOURLY,
        columns.DAILY,
        columns.ZONE_HOURS,
        columns.ZONE_DAYS,
        columns.ZONE_NIGHTS,
        columns.PLAN_STATUS,
    )
    assert {name for frame in frames for name in frame} - NAMES == set()


def test_every_figure_column_stands_in_the_glossary():
    assert {c.name for row in FIGURES for c in row.__table__.columns} - NAMES == set()


def test_every_quantity_of_the_glossary_is_used_in_the_code():
    quantities = re.findall(
        r"^\| `([a-z0-9_]+)` \|", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(quantities) > 30
    known = {name for frame in vars(columns).values() if isinstance(frame, tuple) for name in frame}
    known |= {c.name for table in models.Base.metadata.tables.values() for c in table.columns}
    assert set(quantities) - known == set()
