"""What can be imported: the kinds, their columns, and what each cell may hold.

One table for reading, for the templates and for the documentation. The order of KINDS is the order
in which they are written: what is referred to comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.fields import (
    Parser,
    a_number,
    a_whole_number,
    a_word,
    as_address,
    as_credit_code,
    as_day,
    as_id,
    as_instant,
    as_month,
    as_text,
)
from water.dialects import Dialect
from water.meters import MeterRole
from water.users import Sector
from water.zones import WorksKind

DIALECT_TITLES = {
    "jieshui": "节水", "wmbusmeters": "无线抄表", "chirpstack": "LoRa 网关",
    "thethingsstack": "TTS 网络", "zigbee2mqtt": "Zigbee 网关", "senml": "SenML",
    "cjt188": "CJ/T 188",
    "sl651": "SL 651",
    "alink": "阿里云",
    "onenet": "OneNET",
    "iotda": "华为云",
    "ctwing": "天翼物联",
    "sparkplug": "Sparkplug B",
    "tasmota": "脉冲计数 Tasmota",
    "json": "自定义 JSON",
}  # fmt: skip
SECTOR_TITLES = {
    "market": "市场", "textile": "纺织", "printing": "印染", "food": "食品", "machinery": "机械",
    "hotel": "宾馆", "school": "学校", "hospital": "医院", "office": "机关办公",
    "residential": "居民小区", "other": "其他",
}  # fmt: skip
ROLE_TITLES = {
    "customer": "用户表", "zone_inlet": "分区进水表", "zone_outlet": "分区出水表",
    "tank_level": "水池液位", "plant_outlet": "水厂出水表",
}  # fmt: skip
WORKS_TITLES = {
    "flushing": "冲洗", "fire": "消防", "valve": "阀门操作", "repair": "抢修", "other": "其他",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a kind.

    Attributes:
        name: its header.
        title: its Chinese title; the header may be written so, with or without the unit.
        wanted: what may stand there, for people.
        parse: from a cell that is not empty to its value; raises CellError.
        example: a cell that passes.
        required: whether an empty cell is refused.
        empty: the value of an empty cell.
        refers_to: the kind whose id it holds.
        choices: the words that it may hold, when it holds words.
        aliases: further headers.
    """

    name: str
    title: str
    wanted: str
    parse: Parser
    example: str
    required: bool = True
    empty: Any = None
    refers_to: str = ""
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row: its columns, and the columns that name a row."""

    name: str
    title: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    aliases: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """The column of a name."""
        return next(column for column in self.columns if column.name == name)


_ADDRESS = "text of at most 128 characters, as the dialect writes it"
_ID = "text of at most 64 characters, without blanks and / + # \\"
_M3 = "number from 0, m³"
_INSTANT = "instant with zone, as text"


def _note(name: str, title: str, example: str) -> Column:
    return Column(name, title, "text", as_text, example, required=False, empty="")


def _link(name: str, title: str, kind: str, example: str, *, required: bool = True) -> Column:
    wanted = f"id of one of the {kind}"
    return Column(name, title, wanted, as_id, example, required=required, refers_to=kind)


def _words(
    name: str,
    title: str,
    words: Any,
    titles: dict[str, str],
    example: str,
    aliases: tuple[str, ...] = (),
) -> Column:
    choices = tuple(word.value for word in words)
    wanted = ", ".join(f"{word} {titles[word]}" for word in choices)
    return Column(
        name, title, wanted, a_word(words, titles), example, choices=choices, aliases=aliases
    )


def _volume(name: str, title: str, example: str) -> Column:
    return Column(name, f"{title}(m³)", _M3, a_number(), example)


def _months() -> Sequence[Column]:
    return [
        Column(
            f"m{i:02}", f"{i}月(m³)", _M3, a_number(), "1000",
            aliases=(f"{i}月计划", f"{i:02}月"),
        )
        for i in range(1, 13)
    ]  # fmt: skip


_SUPPLIERS = Kind(
    "suppliers",
    "供水单位",
    ("id",),
    (
        Column("id", "编号", _ID, as_id, "north-water"),
        Column("name", "名称", "text", as_text, "城北水务有限公司"),
    ),
    ("供水企业", "水务公司"),
)

_ZONES = Kind(
    "zones",
    "计量分区",
    ("id",),
    (
        Column("id", "编号", _ID, as_id, "Z01", aliases=("分区编号",)),
        Column("name", "名称", "text", as_text, "一区", aliases=("分区名称",)),
        _link("parent_id", "上级分区", "zones", "", required=False),
        Column(
            "mains_km", "管网长度(km)", "number from 0, km", a_number(most=1e5), "12.4",
            required=False,
        ),
        Column(
            "connections", "户数", "whole number from 0", a_whole_number(0, 10**7), "830",
            required=False, aliases=("接户数",),
        ),
        Column(
            "pressure_mpa", "平均压力(MPa)", "number from 0 to 2.5, MPa", a_number(most=2.5),
            "0.32", required=False,
        ),
    ),
    ("分区", "DMA分区"),
)  # fmt: skip

_USERS = Kind(
    "users",
    "用水户",
    ("id",),
    (
        Column("id", "户号", _ID, as_id, "U0001", aliases=("用户编号", "编号")),
        Column("name", "户名", "text", as_text, "某某纺织有限公司", aliases=("名称", "单位名称")),
        _words("sector", "行业", Sector, SECTOR_TITLES, "textile"),
        Column(
            "credit_code", "统一社会信用代码", "18 characters, GB 32100", as_credit_code,
            "91330782MA00000017", required=False, empty="",
        ),
        _note("township", "镇街", "稠江街道"),
        Column(
            "annual_volume_m3", "年用水量(m³)", _M3, a_number(), "36000", required=False,
            aliases=("上年用水量",),
        ),
        _note("contact", "联系人", "王先生"),
    ),
    ("用户", "用水大户"),
)  # fmt: skip

_METERS = Kind(
    "meters",
    "水表",
    ("id",),
    (
        Column("id", "表号", _ID, as_id, "M0001", aliases=("水表编号", "编号")),
        _link("supplier_id", "供水单位编号", "suppliers", "north-water"),
        _words("role", "用途", MeterRole, ROLE_TITLES, "customer"),
        _note("serial", "表身号", "20230001"),
        _link("user_id", "户号", "users", "U0001", required=False),
        _link("zone_id", "分区编号", "zones", "Z01", required=False),
        Column(
            "modulus_m3", "表盘模数(m³)", "number above 0 at which the register begins again at 0",
            a_number(above=0), "1000000", required=False,
        ),
        Column(
            "q3_m3_h", "常用流量Q3(m³/h)", "number above 0, m³/h", a_number(above=0, most=1e6),
            "16", required=False,
        ),
        Column(
            "interval_s", "采集间隔(s)", "whole seconds between readings, 1 to 2,678,400",
            a_whole_number(1, 2_678_400), "900", required=False, empty=3600,
        ),
        Column(
            "in_service_from", "启用时间", _INSTANT, as_instant, "2024-05-01T00:00:00+08:00",
            required=False,
        ),
        Column("in_service_to", "停用时间", _INSTANT, as_instant, "", required=False),
    ),
    ("计量表",),
)  # fmt: skip

_DEVICES = Kind(
    "devices",
    "设备地址",
    ("supplier_id", "dialect", "address"),
    (
        _link("supplier_id", "供水单位编号", "suppliers", "north-water"),
        _words("dialect", "协议", Dialect, DIALECT_TITLES, "chirpstack", aliases=("方言",)),
        Column("address", "地址", _ADDRESS, as_address, "a84041000181c061", aliases=("设备地址",)),
        _link("meter_id", "表号", "meters", "M0001"),
    ),
    ("设备",),
)

_METER_CHANGES = Kind(
    "meter_changes",
    "换表记录",
    ("meter_id", "at"),
    (
        _link("meter_id", "表号", "meters", "M0001"),
        Column("at", "换表时间", _INSTANT, as_instant, "2026-03-05T10:30:00+08:00"),
        _volume("old_final_m3", "旧表止码", "98211.4"),
        _volume("new_initial_m3", "新表起码", "0.2"),
        _note("reason", "原因", "到期轮换"),
    ),
    ("换表",),
)

_PLANS = Kind(
    "plans",
    "用水计划",
    ("user_id", "year"),
    (
        _link("user_id", "户号", "users", "U0001"),
        Column("year", "年度", "year, 2000 to 2100", a_whole_number(2000, 2100), "2026"),
        *_months(),
        _note("issued_by", "下达单位", "水务局"),
        Column("issued_on", "下达日期", "day", as_day, "2026-01-20", required=False),
        _note("reason", "调整原因", ""),
    ),
    ("计划",),
)

_MONTHLY_RETURNS = Kind(
    "monthly_returns",
    "供水月报",
    ("month",),
    (
        Column("month", "月份", "month, 2026-01 or 2026-01-01", as_month, "2026-01"),
        _volume("own_m3", "自产供水量", "5200000"),
        _volume("purchased_m3", "外购供水量", "310000"),
        _volume("billed_metered_m3", "计费计量用水量", "4800000"),
        _volume("billed_unmetered_m3", "计费未计量用水量", "21000"),
        _volume("free_metered_m3", "免费计量用水量", "15000"),
        _volume("free_unmetered_m3", "免费未计量用水量", "60000"),
        _volume("household_m3", "居民抄表到户水量", "2100000"),
        Column(
            "mains_km", "管网长度(km)", "km of pipes of DN75 and larger", a_number(most=1e6),
            "2310.5", aliases=("DN75及以上管网长度",),
        ),
        Column(
            "outlet_pressure_mpa", "平均出厂压力(MPa)", "number from 0 to 2.5, MPa",
            a_number(most=2.5), "0.42", aliases=("出厂压力",),
        ),
    ),
    ("月报",),
)  # fmt: skip

_BILLING_READS = Kind(
    "billing_reads",
    "抄表计费",
    ("meter_id", "first"),
    (
        _link("meter_id", "表号", "meters", "M0001"),
        Column("first", "计费起日", "day", as_day, "2026-01-01", aliases=("起日",)),
        Column("last", "计费止日", "day", as_day, "2026-01-31", aliases=("止日",)),
        _volume("billed_m3", "计费水量", "3120"),
        _note("note", "说明", "1月账单"),
    ),
    ("计费",),
)

_WORKS = Kind(
    "works",
    "工况登记",
    ("zone_id", "kind", "begins"),
    (
        _link("zone_id", "分区编号", "zones", "Z01"),
        _words("kind", "类型", WorksKind, WORKS_TITLES, "flushing"),
        Column("begins", "开始时间", _INSTANT, as_instant, "2026-04-02T22:00:00+08:00"),
        Column("ends", "结束时间", _INSTANT, as_instant, "2026-04-03T01:00:00+08:00"),
        _note("note", "说明", "消火栓冲洗"),
    ),
    ("工况",),
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _SUPPLIERS, _ZONES, _USERS, _METERS, _DEVICES, _METER_CHANGES, _PLANS, _MONTHLY_RETURNS,
        _BILLING_READS, _WORKS,
    )
}  # fmt: skip
"""Every kind by its name, in the order in which they are written."""
