"""What a line of a file of history is taken for."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.history.files import digest, open_history
from ingest.history.log import HistoryLog
from ingest.history.rows import HistoryError, Row, Unfit, read_header

SHANGHAI = ZoneInfo("Asia/Shanghai")
NAMES = ["meter", "at", "register_m3", "flow_m3_h"]
AT = "2024-01-01T00:15:00+00:00"

LINES = {
    "an instant in UTC": (["M1", "2024-01-01T00:15:00Z", "1.5", "2"], Row("M1", AT, 1.5, 2.0)),
    "an instant with its zone": (["M1", "2024-01-01 08:15+08:00", "1.5", ""], Row("M1", AT, 1.5)),
    "blanks around all": ([" M1 ", " 2024-01-01T00:15:00Z ", " 1.5 ", " "], Row("M1", AT, 1.5)),
    "a flow alone": (["M1", "2024-01-01T00:15:00Z", "", "0"], Row("M1", AT, None, 0.0)),
    "a field too many": (["M1", AT, "1", "2", "3"], Unfit.FIELDS),
    "a field too few": (["M1", AT, "1"], Unfit.FIELDS),
    "no meter": ([" ", AT, "1", ""], Unfit.NO_METER),
    "a meter of 129 letters": (["m" * 129, AT, "1", ""], Unfit.LONG_ADDRESS),
    "no instant": (["M1", "", "1", ""], Unfit.NO_TIME),
    "a local instant": (["M1", "2024-01-01T08:15:00", "1", ""], Unfit.TIME_WITHOUT_ZONE),
    "a thirteenth month": (["M1", "2024-13-01T08:15:00Z", "1", ""], Unfit.BAD_TIME),
    "a day without a time": (["M1", "2024-01-01", "1", ""], Unfit.BAD_TIME),
    "seconds of an epoch": (["M1", "1704067200", "1", ""], Unfit.BAD_TIME),
    "a word for a number": (["M1", AT, "n/a", ""], Unfit.NOT_A_NUMBER),
    "an underscore in a number": (["M1", AT, "12_5", ""], Unfit.NOT_A_NUMBER),
    "full-width digits": (["M1", AT, "１２５", ""], Unfit.NOT_A_NUMBER),
    "a no-break space before a number": (["M1", AT, "\xa01.5", ""], Row("M1", AT, 1.5)),
    "a comma in a number": (["M1", AT, "1,5", ""], Unfit.NOT_A_NUMBER),
    "NaN": (["M1", AT, "nan", ""], Unfit.NOT_FINITE),
    "a number beyond floats": (["M1", AT, "1e999", ""], Unfit.NOT_FINITE),
    "no quantity": (["M1", AT, "", " "], Unfit.NO_QUANTITY),
}


@pytest.mark.parametrize(("fields", "expected"), LINES.values(), ids=LINES)
def test_a_line_is_a_row_or_has_a_reason(fields, expected):
    assert read_header(NAMES, [], None)(fields) == expected


def test_a_local_instant_is_read_in_the_zone_that_is_named():
    read = read_header(NAMES, [], SHANGHAI)
    assert read(["M1", "2024-01-01 08:15", "1", ""]) == Row("M1", AT, 1.0)
    assert read(["M1", "2024-01-01 00:15Z", "1", ""]) == Row("M1", AT, 1.0)


@pytest.mark.parametrize("at", ["2024-10-27T02:30:00", "2024-03-31T02:30:00"])
def test_an_instant_that_a_zone_had_twice_or_never_is_not_guessed(at):
    read = read_header(NAMES, [], ZoneInfo("Europe/Berlin"))
    assert read(["M1", at, "1", ""]) == Unfit.BAD_TIME


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["meter", "at"], "register_m3"),
        (["at", "register_m3"], "meter"),
        (["meter", "register_m3"], "at"),
        (["meter", "address", "at", "register_m3"], "twice"),
        (["meter", "at", "register_m3", "remark"], "'remark' is unknown"),
        (["meter", "at", "register_l"], "'register_l' is unknown"),
    ],
)
def test_a_header_that_leaves_something_open_is_refused(names, said):
    with pytest.raises(HistoryError, match=said):
        read_header(names, [], None)


def test_a_column_may_be_ignored_by_name_and_address_means_meter():
    read = read_header(["remark", "Address", "AT", "level_m"], ["remark"], None)
    assert read(["?", "A", AT, "3"]) == Row("A", AT, level_m=3.0)


def lines_of(path, **options):
    with open_history(path, **options) as file:
        return list(file.names), list(file.lines), file.done.value, file.size


def test_a_stray_quote_or_byte_costs_one_line_and_numbers_stay_true(tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(
        b'\xef\xbb\xbfmeter,at,register_m3\r\nM1,t,1\r\n\r\nM"2,t,2\r\n"M,3",t,3\r\n'
        b'"M4,t,4\r\nM\xff5,t,5\r\nM6,t,6\n'
    )
    names, lines, done, size = lines_of(path)
    assert names == ["meter", "at", "register_m3"]
    assert lines == [
        (2, ["M1", "t", "1"]),
        (4, ['M"2', "t", "2"]),
        (5, ["M,3", "t", "3"]),
        (6, Unfit.FIELDS),
        (7, Unfit.NOT_TEXT),
        (8, ["M6", "t", "6"]),
    ]
    assert 0 < done <= size


def test_a_line_in_which_the_file_ends_is_no_row(tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(b"meter,at,register_m3\nM1,t,1234.5\nM1,t,1240")  # (of 1240.25)
    assert lines_of(path)[1] == [(2, ["M1", "t", "1234.5"]), (3, Unfit.CUT)]
    path.write_bytes(b"meter,at,register_m3\nM1,t,1\n  ")
    assert lines_of(path)[1] == [(2, ["M1", "t", "1"])]


def test_a_file_that_is_still_being_written_is_named_at_its_end(tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(b"meter,at,register_m3\nM1,t,1\n")
    with open_history(path) as file:
        assert next(file.lines) == (2, ["M1", "t", "1"])
        path.write_bytes(path.read_bytes() + b"M1,t,2\nM1,t,3\n")
        with pytest.raises(HistoryError, match="once it is whole"):
            list(file.lines)


def test_a_csv_in_gbk_is_read_when_that_is_said(tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes("meter,at,register_m3\n东门一号,t,1\n".encode("gbk"))
    assert lines_of(path)[1] == [(2, Unfit.NOT_TEXT)]
    assert lines_of(path, encoding="gb18030")[1] == [(2, ["东门一号", "t", "1"])]


def test_parquet_gives_the_rows_that_a_csv_would(tmp_path):
    path = tmp_path / "history.parquet"
    moment = datetime(2024, 1, 1, 8, 15, tzinfo=SHANGHAI)
    columns = {
        "meter": pa.array(["M1", "M2", "M3"]).dictionary_encode(),
        "at": pa.array([moment, moment, None], pa.timestamp("us", "Asia/Shanghai")),
        "register_m3": pa.array([0.1, float("nan"), 3.0]),
        "level_m": pa.array([None, None, 4], pa.int32()),
    }
    pq.write_table(pa.table(columns), path)
    names, lines, done, size = lines_of(path)
    read = read_header(names, [], None)
    rows = [(number, read(fields)) for number, fields in lines]
    assert rows == [(1, Row("M1", AT, 0.1)), (2, Unfit.NOT_FINITE), (3, Unfit.NO_TIME)]
    assert done == size == 3


@pytest.mark.parametrize("name", ["none.csv", "none.xlsx", "bad.parquet", "empty.csv"])
def test_a_file_that_is_none_is_named(tmp_path, name):
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(HistoryError, match=name), open_history(tmp_path / name):
        pass


def test_what_goes_wrong_with_its_lines_is_not_told_of_the_file(tmp_path):
    (tmp_path / "a.csv").write_text("meter,at,register_m3\n")
    with pytest.raises(ConnectionError), open_history(tmp_path / "a.csv"):
        raise ConnectionError("the store is away")


def test_files_are_told_apart_by_what_they_hold(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_the_log_tells_how_far_each_import_is(tmp_path):
    log = HistoryLog(tmp_path)
    assert log.begin("a", 10) == 0
    assert log.begin("a", 13) == 3  # three messages were durable when it broke off
    assert log.begin("b", 17) == 0  # four more of a, then another file
    assert HistoryLog(tmp_path).begin("a", 19) == 7
    assert log.begin("b", 19) == 2
    assert log.begin("a", 19) == 7
    assert log.begin("a", 20, again=True) == 0
    assert log.begin("a", 22) == 2


def test_a_log_that_is_not_ours_is_named(tmp_path):
    (tmp_path / "imports.json").write_text("{", encoding="utf-8")
    with pytest.raises(HistoryError, match=r"imports\.json"):
        HistoryLog(tmp_path).begin("a", 0)
