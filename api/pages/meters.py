"""The columns in which meters are listed on the pages of users and zones."""

from urllib.parse import quote

from api.pages.figures import write_number
from api.pages.tables import Column, instant, number, supplier, word
from api.pages.visit import Visit


def meter_columns(visit: Visit) -> list[Column]:
    """Columns of a list of meters."""
    texts = visit.texts
    return [
        Column("id", texts["meter_id"], href=lambda row: f"/meters/{quote(row['id'], safe='')}"),
        Column("serial", texts["serial"]),
        word("role", texts["role"], "meter_role", visit),
        supplier("supplier_id", visit),
        Column("zone_id", texts["zone"]),
        number("q3_m3_h", texts["q3"], 1),
        Column(
            "interval_s",
            texts["interval"],
            lambda row: write_number(row["interval_s"] / 60),
            numeric=True,
        ),
        instant("in_service_from", texts["in_service"], visit),
    ]
