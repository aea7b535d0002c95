"""Imports into a real SQLite registry: what is refused, what is written, what a re-import does."""

import csv
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook
from sqlalchemy import text

from registry.importing import import_path
from registry.report import Counts, RegistryError
from storage.registry.engine import migrate, open_registry
from storage.registry.store import RegistryStore

NOW = datetime(2026, 9, 15, tzinfo=UTC)
TODAY = date(2026, 9, 15)
MONTHS = ",".join(f"m{i:02}" for i in range(1, 13))
CITY = {
    "suppliers": "id,name\ns1,城北水务\n",
    "zones": "id,name,parent_id,mains_km\nz2,Inner,z1,\nz1,Outer,,3.5\n",
    "users": "id,name,sector\nu1,Mill,textile\n",
    "meters": "id,supplier_id,role,user_id,q3_m3_h,in_service_from\n"
    "m1,s1,customer,u1,16,2024-01-01T08:00:00+08:00\n",
    "devices": "supplier_id,dialect,address,meter_id\ns1,chirpstack,a8,m1\n",
    "meter_changes": "meter_id,at,old_final_m3,new_initial_m3\nm1,2026-03-05T10:30+08:00,9,0.5\n",
    "plans": f"user_id,year,{MONTHS},issued_on\nu1,2026{',100' * 12},2026-01-20\n",
    "monthly_returns": "month,own_m3,purchased_m3,billed_metered_m3,billed_unmetered_m3,"
    "free_metered_m3,free_unmetered_m3,household_m3,mains_km,outlet_pressure_mpa\n"
    "2026-08,10,0,8,0,0,0,4,12,0.4\n",
    "works": "zone_id,kind,begins,ends\nz1,fire,2026-01-01T00:00Z,2026-01-01T01:00Z\n",
}


class _Clock:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def engine(tmp_path):
    engine = open_registry(f"sqlite:///{tmp_path}/registry.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine) -> RegistryStore:
    return RegistryStore(engine, _Clock())


@pytest.fixture
def city(tmp_path) -> Path:
    folder = tmp_path / "city"
    folder.mkdir()
    for kind, content in CITY.items():
        (folder / f"{kind}.csv").write_text(content, "utf-8")
    return folder


@pytest.fixture
def hand_in(tmp_path, store):
    """Import a text as a file of a name, after the city when `city` is given."""

    def hand_in(name: str, content: str | bytes, *, kind: str | None = None):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return import_path(path, store, actor="amy", today=TODAY, kind=kind)

    return hand_in


def _said(report) -> list[tuple]:
    return [(p.row, p.column, p.value) for p in report.errors]


def test_a_folder_of_every_kind_is_imported_in_one_go(city, store):
    report = import_path(city, store, actor="amy", today=TODAY)
    assert report.problems == ()
    assert list(report.counts) == list(CITY)
    assert {c.created for c in report.counts.values()} == {1, 2}
    assert store.meters()[0].in_service_from == datetime(2024, 1, 1, tzinfo=UTC)
    assert store.plans(2026)[0].year_m3 == 1200
    assert store.monthly_returns()[0].household_m3 == 4
    assert [zone.parent_id for zone in store.zones()] == [None, "z1"]


def test_a_second_import_of_the_same_folder_changes_nothing(city, store):
    import_path(city, store, actor="amy", today=TODAY)
    version = store.version()
    report = import_path(city, store, actor="amy", today=TODAY)
    assert {(c.created, c.changed) for c in report.counts.values()} == {(0, 0)}
    assert report.counts["zones"] == Counts(unchanged=2)
    assert store.version() == version


def test_one_bad_row_and_nothing_of_any_kind_is_written(city, store):
    (city / "works.csv").write_text(CITY["works"] + "z1,party,2026-01-01,2026-01-02T00:00Z\n")
    report = import_path(city, store, actor="amy", today=TODAY)
    assert _said(report) == [(3, "kind", "party"), (3, "begins", "2026-01-01")]
    assert not report.imported
    assert report.counts == {}
    assert store.suppliers() == frozenset()


def test_a_reference_may_stand_in_the_import_or_in_the_registry(city, store, hand_in):
    import_path(city, store, actor="amy", today=TODAY)
    meters = "id,supplier_id,role,user_id\nm2,s1,customer,{}\n"
    assert hand_in("meters.csv", meters.format("u1")).imported
    assert _said(hand_in("meters.csv", meters.format("u9"))) == [(2, "user_id", "u9")]


def test_a_row_that_names_the_same_thing_twice_is_refused_with_the_first_place(hand_in):
    report = hand_in("suppliers.csv", "id,name\na,A\nb,B\na,C\n")
    assert _said(report) == [(4, "id", "a")]
    assert "row 2 of suppliers.csv" in report.errors[0].wanted


def test_a_plan_that_differs_becomes_the_next_version(city, store, hand_in):
    import_path(city, store, actor="amy", today=TODAY)
    report = hand_in("plans.csv", f"user_id,year,{MONTHS}\nu1,2026{',90' * 12}\n")
    assert report.counts == {"plans": Counts(changed=1)}
    (plan,) = store.plans(2026)
    assert (plan.version, plan.year_m3) == (2, 1080)
    with store.transaction() as registry:
        assert set(registry.rows("plans")) == {("u1", 2026, 1), ("u1", 2026, 2)}


def test_a_column_left_out_leaves_what_stands_and_an_empty_cell_empties_it(hand_in, store):
    hand_in("users.csv", "id,name,sector,township,contact\nu1,A,food,East,Lee\n")
    hand_in("users.csv", "id,name,sector,township\nu1,B,food,\n")
    (user,) = store.users()
    assert (user.name, user.township, user.contact) == ("B", "", "Lee")


def test_a_new_version_of_a_plan_takes_over_no_reason_and_a_repeated_one_makes_none(
    city, store, hand_in
):
    import_path(city, store, actor="amy", today=TODAY)
    bare = f"user_id,year,{MONTHS}\nu1,2026{{}}\n"
    assert hand_in("plans.csv", bare.format(",100" * 12)).counts["plans"].unchanged == 1
    hand_in("plans.csv", bare.format(",101" * 12))
    assert [(p.version, p.issued_on) for p in store.plans(2026)] == [(2, None)]


@pytest.mark.parametrize("month", ["-1", "", "nan", "many", "1,000"])
def test_a_plan_needs_twelve_months_that_are_not_negative(city, store, hand_in, month):
    import_path(city, store, actor="amy", today=TODAY)
    rows = f'u1,2027{",1" * 11},"{month}"\n'
    report = hand_in("plans.csv", f"user_id,year,{MONTHS}\n{rows}")
    assert [(p.row, p.column) for p in report.errors] == [(2, "m12")]


def test_zones_that_lie_in_each_other_are_refused(city, store, hand_in):
    import_path(city, store, actor="amy", today=TODAY)
    report = hand_in("zones.csv", "id,name,parent_id\nz1,Outer,z2\n")
    assert _said(report) == [(2, "parent_id", "z2")]


def test_a_wrong_check_character_of_a_credit_code_is_only_a_warning(hand_in):
    users = "id,name,sector,credit_code\na,A,food,91350100M000100Y43\nb,B,food,91350100M000100Y44\n"
    report = hand_in("users.csv", users)
    assert report.imported
    assert [(p.row, p.value) for p in report.warnings] == [(3, "91350100M000100Y44")]
    assert "end with 3" in report.warnings[0].wanted


@pytest.mark.parametrize(
    ("meter", "column"),
    [
        ("m2,s1,customer,,,,", "user_id"),
        ("m2,s1,zone_inlet,,,,", "zone_id"),
        ("m2,s1,customer,u1,,2026-01-02T00:00Z,2026-01-01T00:00Z", "in_service_to"),
    ],
)
def test_a_meter_fits_its_role_and_its_time(city, store, hand_in, meter, column):
    import_path(city, store, actor="amy", today=TODAY)
    header = "id,supplier_id,role,user_id,zone_id,in_service_from,in_service_to"
    report = hand_in("meters.csv", f"{header}\n{meter}\n")
    assert [p.column for p in report.errors] == [column]


def test_what_changed_is_audited_with_old_and_new(city, store, hand_in, engine):
    import_path(city, store, actor="amy", today=TODAY)
    hand_in("users.csv", "id,name,sector\nu1,Mill & Sons,textile\nu2,New,food\n")
    with engine.connect() as connection:
        query = text("SELECT actor, action, subject, detail FROM audit ORDER BY id DESC LIMIT 3")
        summary, created, changed = connection.execute(query).all()
    assert summary[:3] == ("amy", "import", "users.csv")
    assert '"users": [1, 1, 0]' in summary.detail
    assert created[:3] == ("amy", "users.created", "u2")
    assert changed[:3] == ("amy", "users.changed", "u1")
    assert '"fields": {"name": ["Mill", "Mill & Sons"]}' in changed.detail


def test_chinese_headers_words_and_encodings_are_read(hand_in, store):
    chinese = "户号,户名,行业,年用水量（m³）\n0017,某某印染厂,印染,36000.5\n"
    for number, encoded in enumerate(
        (chinese.encode("gbk", "ignore"), chinese.encode("utf-8-sig"))
    ):
        report = hand_in(f"export{number}.csv", encoded)
        assert report.problems == ()
    assert report.counts == {"users": Counts(unchanged=1)}
    (user,) = store.users()
    assert (user.id, user.sector, user.annual_volume_m3) == ("0017", "printing", 36000.5)


def test_a_workbook_has_a_sheet_a_kind(tmp_path, store):
    workbook = Workbook()
    suppliers = workbook.active
    suppliers.title = "供水单位"
    suppliers.append(["编号", "名称"])
    suppliers.append([17, "S"])
    zones = workbook.create_sheet("zones")
    zones.append(["id", "name", "connections"])
    zones.append([None, None, None])
    zones.append(["z1", "Z", 12.0])
    workbook.create_sheet("说明").append(["anything"])
    workbook.create_sheet("Sheet9")
    workbook.save(tmp_path / "book.xlsx")
    report = import_path(tmp_path / "book.xlsx", store, actor="amy", today=TODAY)
    assert report.problems == ()
    assert store.suppliers() == {"17"}
    assert store.zones()[0].connections == 12


def test_an_instant_in_a_date_cell_has_no_zone_and_is_refused(tmp_path, store):
    workbook = Workbook()
    sheet = workbook.active
    sheet.title = "works"
    sheet.append(["zone_id", "kind", "begins", "ends"])
    sheet.append(["z1", "fire", datetime(2026, 1, 1), datetime(2026, 1, 2)])  # noqa: DTZ001
    workbook.save(tmp_path / "book.xlsx")
    report = import_path(tmp_path / "book.xlsx", store, actor="amy", today=TODAY)
    places = [(p.place, p.row, p.column) for p in report.errors]
    assert ("book.xlsx [works]", 2, "begins") in places
    assert ("book.xlsx [works]", 2, "ends") in places
    assert ("book.xlsx [works]", 2, "zone_id") in places  # there is no zone z1


@pytest.mark.parametrize(
    ("header", "column", "wanted"),
    [
        ("id,name,sektor", "sektor", "did you mean sector?"),
        ("id,name", "sector", "missing"),
        ("id,name,name,sector", "name", "twice"),
    ],
)
def test_a_header_that_does_not_fit_is_said_once_not_a_row(hand_in, header, column, wanted):
    report = hand_in("users.csv", f"{header}\na,b,c,d\na,b,c,d\n")
    said = [p for p in report.errors if p.column == column]
    assert len(said) == 1
    assert said[0].row == 1
    assert wanted in said[0].wanted


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "no header"),
        ("id,name\n".encode("utf-16"), "UTF-16"),
        (b"id,name\n\xff\xff\xff,\n", "neither UTF-8 nor GBK"),
        (b'id,name\n"a,b\n', "can't be read"),
        (b"id,name\na,A,stray\n", "under no column"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(hand_in, content, wanted):
    report = hand_in("suppliers.csv", content)
    assert wanted in report.errors[0].wanted


def test_a_row_is_named_by_its_line_after_cells_of_several_lines(hand_in):
    report = hand_in("suppliers.csv", 'id,name\na,"two\nlines"\n\nb c,B\n')
    assert [p.row for p in report.errors] == [5]


def test_a_header_that_fits_two_kinds_asks_for_the_kind(hand_in, store):
    assert "say the kind" in hand_in("export.csv", "id,name\na,A\n").errors[0].wanted
    assert hand_in("export.csv", "id,name\na,A\n", kind="suppliers").imported
    assert store.suppliers() == {"a"}


def test_what_is_not_there_or_no_kind_is_refused_at_once(tmp_path, store, city):
    for path, kind in ((tmp_path / "no.csv", None), (tmp_path / "deeper", None), (city, "taps")):
        with pytest.raises(RegistryError):
            import_path(path, store, actor="amy", today=TODAY, kind=kind)


def test_ten_thousand_meters_come_in_with_progress(city, tmp_path, store):
    import_path(city, store, actor="amy", today=TODAY)
    with (tmp_path / "meters.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "supplier_id", "role", "user_id"])
        writer.writerows([f"m{i}", "s1", "customer", "u1"] for i in range(10_000))
    told: list[tuple[int, int]] = []
    report = import_path(
        tmp_path / "meters.csv",
        store,
        actor="amy",
        today=TODAY,
        progress=lambda *step: told.append(step),
    )
    assert report.counts["meters"] == Counts(created=9_999, unchanged=1)
    assert len(told) > 10
    assert told == sorted(told)
    assert told[-1] == (20_000, 20_000)
    assert len(store.devices()) == 10_001


def test_a_report_for_scripts_has_counts_and_problems(hand_in):
    good = hand_in("suppliers.csv", "id,name\na,A\n").as_rows()
    assert good["counts"] == [{"kind": "suppliers", "created": 1, "changed": 0, "unchanged": 0}]
    bad = hand_in("suppliers.csv", "id,name\na b,A\n")
    assert bad.as_rows()["problems"][0]["value"] == "a b"
    assert str(bad.errors[0]).startswith("suppliers.csv, row 2, column id: 'a b': an id")


@pytest.mark.parametrize(
    ("device", "column", "wanted"),
    [
        ("s1,chripstack,a9,m1", "dialect", "chirpstack"),
        ("s1,chirpstack,A9,m1", "address", "a9"),
        ("s2,wmbusmeters,9,m1", "supplier_id", "s1"),
    ],
    ids=["misspelt dialect", "devEui in upper case", "another supplier's meter"],
)
def test_a_device_fits_its_dialect_and_its_meter(city, store, hand_in, device, column, wanted):
    import_path(city, store, actor="hand", today=TODAY)
    hand_in("suppliers.csv", "id,name\ns2,South\n")
    report = hand_in("devices.csv", f"supplier_id,dialect,address,meter_id\n{device}\n")
    assert [problem.column for problem in report.errors] == [column]
    assert wanted in report.errors[0].wanted


def test_an_address_that_moves_to_another_meter_is_said(city, store, hand_in):
    import_path(city, store, actor="hand", today=TODAY)
    hand_in("meters.csv", "id,supplier_id,role,user_id\nm2,s1,customer,u1\n")
    report = hand_in("devices.csv", "supplier_id,dialect,address,meter_id\ns1,chirpstack,a8,m2\n")
    assert [problem.column for problem in report.warnings] == ["meter_id"]
    assert report.imported


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("2062-01-31", "in the future"),
        ("9999-12-31", "in the future"),
        ("2026-09-15", "this is today"),
        ("2026-02-05", "at most 400 days"),
        ("2024-12-31", "before first"),
    ],
)
def test_a_billed_period_ends_in_the_past_within_400_days(city, store, hand_in, last, said):
    import_path(city, store, actor="amy", today=TODAY)
    head = "meter_id,first,last,billed_m3\n"
    report = hand_in("billing_reads.csv", f"{head}m1,2025-01-01,{last},9\n")
    assert [p.column for p in report.errors] == ["last"]
    assert said in report.errors[0].wanted
    assert not hand_in("billing_reads.csv", f"{head}m1,2025-01-01,2026-02-04,9\n").errors
