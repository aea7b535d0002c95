"""Plausible names, addresses and codes. Nobody real is meant."""

import numpy as np

from water.users import Sector

TOWNSHIPS = (
    "稠城街道", "稠江街道", "江东街道", "北苑街道", "后宅街道", "城西街道", "廿三里街道",
    "福田街道", "佛堂镇", "苏溪镇", "上溪镇", "大陈镇", "义亭镇", "赤岸镇",
)  # fmt: skip

_WORDS = (
    "华", "瑞", "宏", "锦", "恒", "盛", "丰", "泰", "嘉", "鑫", "永", "天", "金", "德", "和",
    "新", "乐", "安", "润", "达", "康", "源", "腾", "佳", "百", "双", "美", "宝", "东", "兴",
)  # fmt: skip

_ENDINGS: dict[Sector, tuple[str, ...]] = {
    Sector.MARKET: ("商贸城", "小商品市场", "农贸市场", "副食品市场", "购物中心"),
    Sector.TEXTILE: ("纺织有限公司", "针织有限公司", "袜业有限公司", "无缝织造有限公司"),
    Sector.PRINTING: ("印刷有限公司", "包装印刷有限公司", "印花有限公司", "彩印有限公司"),
    Sector.FOOD: ("食品有限公司", "饮料有限公司", "红糖食品有限公司", "冷链食品有限公司"),
    Sector.MACHINERY: ("机械有限公司", "五金制品有限公司", "拉链有限公司", "电器有限公司"),
    Sector.HOTEL: ("大酒店", "宾馆", "商务酒店", "国际酒店"),
    Sector.SCHOOL: ("小学", "初级中学", "高级中学", "职业技术学校"),
    Sector.HOSPITAL: ("医院", "中医医院", "康复医院", "妇幼保健院"),
    Sector.OFFICE: ("大厦物业管理有限公司", "办公中心", "科创园管理有限公司"),
    Sector.RESIDENTIAL: ("花苑小区", "新村", "公寓", "家园小区"),
    Sector.OTHER: ("洗涤服务有限公司", "水上乐园有限公司", "物流园管理有限公司"),
}

_PUBLIC = {Sector.SCHOOL, Sector.HOSPITAL}
_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_YIWU = "330782"


def make_name(sector: Sector, township: str, rng: np.random.Generator) -> str:
    """A name as it stands on a water bill."""
    ending = _ENDINGS[sector][rng.integers(len(_ENDINGS[sector]))]
    first, second = rng.choice(len(_WORDS), size=2, replace=False)
    place = "义乌市" if rng.random() < 0.6 else township.removesuffix("街道").removesuffix("镇")
    return f"{place}{_WORDS[first]}{_WORDS[second]}{ending}"


def make_credit_code(sector: Sector, rng: np.random.Generator) -> str:
    """A 统一社会信用代码 with valid check digits (GB 32100-2015, organisation part GB 11714)."""
    registrar = "12" if sector in _PUBLIC else "91"
    digits = [int(digit) for digit in rng.integers(0, 10, size=8)]
    pairs = zip(digits, _ORGANISATION_WEIGHTS, strict=True)
    rest = (11 - sum(digit * weight for digit, weight in pairs) % 11) % 11
    organisation = "".join(map(str, digits)) + "0123456789X"[rest]
    body = registrar + _YIWU + organisation
    return body + credit_code_check(body)


def credit_code_check(body: str) -> str:
    """The eighteenth character of a credit code (GB 32100-2015: weights 3**i mod 31)."""
    total = sum(_CODE_ALPHABET.index(character) * pow(3, i, 31) for i, character in enumerate(body))
    return _CODE_ALPHABET[(31 - total % 31) % 31]
