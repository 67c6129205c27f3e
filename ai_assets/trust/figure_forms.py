"""The forms in which a figure is written in a Chinese text, as patterns, and the number that one holds.

Here: units, scales, one pattern of all forms, and what looks like a figure and is none (一方面, 三五好友, 第一次, 中八,
list numbers). Not here: what a form stands for (`amounts`, `dates_and_times`), the walk over a text
(`figures_in_text`).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from ai_assets.trust.chinese_numerals import NUMERAL, chinese_number

LONGEST_NUMBER: Final = 30
"""A longer row of digits is read as no number that anything could be: it has no value."""

_ARABIC = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?"
_N = rf"(?:{_ARABIC}|{NUMERAL})"
UNITS: Final[dict[str, tuple[str, int]]] = {
    # unit: kind, and how many of the kind's own unit it is
    "元": ("yuan", 1),
    "块钱": ("yuan", 1),
    "块": ("yuan", 1),
    "圆": ("yuan", 1),
    "分钟": ("minutes", 1),
    "分": ("minutes", 1),
    "个小时": ("minutes", 60),
    "小时": ("minutes", 60),
    "个钟头": ("minutes", 60),
    "钟头": ("minutes", 60),
    "天": ("days", 1),
    "日": ("days", 1),
    "周": ("days", 7),
    "个星期": ("days", 7),
    "星期": ("days", 7),
    "个礼拜": ("days", 7),
    "个月": ("days", 30),
    "个季度": ("days", 91),
    "年": ("days", 365),
    "人次": ("people", 1),
    "个人": ("people", 1),
    "个朋友": ("people", 1),
    "人": ("people", 1),
    "位": ("people", 1),
    "名": ("people", 1),
    "单": ("orders", 1),
    "笔": ("orders", 1),
    "张": ("orders", 1),
    "桌": ("orders", 1),
    "次": ("visits", 1),
    "回": ("visits", 1),
    "趟": ("visits", 1),
    "个": ("count", 1),
    "项": ("count", 1),
    "条": ("count", 1),
    "类": ("count", 1),
    "家": ("count", 1),
    "号": ("id", 1),
    "岁": ("years", 1),
}
_NO_UNIT_BEFORE: Final = {
    "回": "升落调撤暖到至吐归",
    "分": "别布区成享",
    "单": "价日笔",
    "次": "均",
    "人": "均",
    "位": "于居列",
    "周": "一二三四五六末",
    "日": "均",
    "个": "别",
}
"""Letters after a unit that make another word of it: 45.86万回升."""
_UNIT = "|".join(
    unit
    + (f"(?![{_NO_UNIT_BEFORE[unit]}])" if unit in _NO_UNIT_BEFORE else "")
    + (r"(?!均(?!\s?[\d约]))" if unit == "单" else "")
    for unit in sorted(UNITS, key=len, reverse=True)
)
SCALES: Final = {
    "万亿": 10**12,
    "千万": 10**7,
    "百万": 10**6,
    "亿": 10**8,
    "万": 10**4,
    "千": 10**3,
    "百": 100,
    "w": 10**4,
    "W": 10**4,
    "k": 10**3,
    "K": 10**3,
}
# in the order in which they are tried at one place
FORM = re.compile(
    rf"(?P<ymd>(?P<y1>\d{{4}}|[零〇一二三四五六七八九]{{4}})\s?[-/.年]\s?(?P<m1>{_N})\s?[-/.月]\s?(?P<d1>{_N})(?:日|号|(?![\d.])))"
    rf"|(?P<ym>(?P<y2>\d{{4}}|[零〇一二三四五六七八九]{{4}})(?:年(?P<m2>{_N})月份?|-(?P<m2b>0[1-9]|1[0-2])(?![\d-])))"
    rf"|(?P<md>(?P<m3>\d{{1,2}}|[一二三四五六七八九十]{{1,2}})月(?P<d3>\d{{1,2}}|[一二三四五六七八九十]{{1,3}})(?:[日号]|(?=\s?[-~至到]\s?\d{{1,2}}[日号])))"
    r"|(?P<slash>(?<![\d./-])(?:0?[1-9]|1[0-2])/(?:[12]\d|3[01]|0?[1-9])(?![\d/])|(?<![\d.-])(?:0[1-9]|1[0-2])-(?:[12]\d|3[01]|0[1-9])(?![\d\-点元天单次人个%时]))"
    r"|(?P<days>(?<![\d./月-])(?P<from>[12]?\d|3[01])[日号]?(?=\s?[至到~-]\s?(?:[12]?\d|3[01])[日号](?!均|间)|(?:\s?[、和与及]\s?(?:[12]?\d|3[01])){1,6}[日号](?!均|间|内)))"
    r"|(?P<months>(?<![\d./月-])(?P<m5>1[0-2]|[1-9])(?=\s?[至到~、和与-]\s?(?:1[0-2]|[1-9])月(?!\d)))"
    r"|(?P<month>(?P<m4>\d{1,2}|[一二三四五六七八九十]{1,2})月(?:份|初|中旬|上旬|下旬|底|末)?)"
    r"|(?P<clock>(?<![\d:])(?P<h1>[01]?\d|2[0-4]):(?P<min1>[0-5]\d)(?::[0-5]\d)?(?!\d))"
    r"|(?P<hourspan>(?<![\d.:])(?P<h3>[01]?\d|2[0-4])点?(?=\s?[-~至到]\s?(?:[01]?\d|2[0-4])点))"
    r"|(?P<hourend>(?<=[-~至到])(?P<h4>[01]?\d|2[0-4])点(?=\d))"
    r"|(?P<oclock>(?P<h2>[01]?\d|2[0-4]|[一二两三四五六七八九十]{1,3})(?:点钟|点(?![零一二三四五六七八九\d]{1,3}(?:[%个元万倍折成单人次天位笔]|小时|分钟))|时(?=\d{1,2}分))(?P<min2>半|整|一刻|三刻|\d{1,2}分?|[一二三四五六七八九十]{1,3}分)?)"
    rf"|(?P<fraction>(?P<below>{_N})分之(?P<above>{_N})(?:点[零一二三四五六七八九]+)?)"
    r"|(?P<half>一半|半数|过半)(?!天|小时|个)"
    rf"|(?P<ordinal>(?:第|[Tt][Oo][Pp]\s?|(?<![此之先以目从早当眼])前)(?P<rank>{_N})(?P<rankunit>{_UNIT}|大|名)?)"
    r"|(?P<double>翻倍|翻了?一?番|翻了一倍)"
    rf"|(?P<hm>(?P<hours>{_N})个?(?:小时|钟头)零?(?P<minutes>{_N})(?:分钟|分))"
    r"|(?P<halves>半(?:个小时|小时|个钟头|天|个月|年|个季度))"
    rf"|(?P<pair>(?P<two>[一两二三四五六七八九][二三四五六七八九])(?P<pairunit>十)?(?P<pu>{_UNIT}|成))"
    r"|(?P<teens>十几(?P<teenunit>" + _UNIT + r"))"
    rf"|(?P<amount>(?P<sign>(?<![A-Za-z0-9)）%])[-+]\s?)?(?P<money>[¥￥]\s?)?(?P<num>{_N})\s?(?P<scale>万亿|千万|百万|亿|万|千|百|[wWkK](?![A-Za-z]))?(?P<more>[多余来几](?!次地|地))?\s?"
    rf"(?P<unit>[%‰]|个百分点|百分点|pct|pp|成(?:(?P<chengtail>[一二三四五六七八九半\d](?!个|天|次|年|月|数))?(?P<chengmore>多|以上)?(?![为功员本交立长果熟绩都年人效就套]))|折|倍|个半(?:小时|钟头|月)|年半|{_UNIT})?)"
)
PERCENT_WORDS = re.compile(rf"百分之(?P<num>{_N})")
NO_FIGURE = re.compile(
    r"(?<=[多少大高低早晚快慢好差强弱长短贵远近了略有])一点(?![零一二三四五六七八九十\d半钟整])|[前上]一(?:个|段|轮|期|窗|周|月|天|日|季|阶|时|统|可)|以[^，。；\d]{1,14}[为作]\s?100%|上个?30天|上个?三十天|两次(?=之间|间隔|到店之间|消费之间|到店的间隔)|两期|第一时间|第一次|第一手|第一步|第二步|第三步|第[一二三四五](?=[，,、：:])|一方面|另一方面|二人世界|三五|一二三|"
    r"(?:周末|周六日|周[一二三四五六日][和、与]周[一二三四五六日])(?:这)?两[天日]|最[好差高低旺淡忙强弱]的?[前后]?[两三四五2-5][天日]|[两三四五六七](?:天|日|区|个区域)(?=合计|都是|都|均为|之和|相差|之间|加起来)|前[两三四五][天日]|(?<=[日）)])[两三四五六七]天|[两三四五]日(?=合计|均|净)|双十一|双十二|六一|五一|十一(?=黄金|长假|假期)|九球|八球|中八|黑八|十佳|十分(?!钟)|百分百|一站式|一对一|"
    r"这两天|这几天|这两三天|那两天|两三天|一两天|月(?:刚)?过半|一次性|二次消费|二次到店|三缺一|四季|万一|千万|七夕|八折扣|二楼|一楼|三楼|24小时营业|7x24|O2O|[Aa]pp\d|"
    r"(?:一|1)(?:个(?!半|小时|钟头|月|季度|星期|礼拜)|[位条类件份种些家张])|(?<![\d一二两三四五六七八九])[一二两三四五六七八九\d]{1,2}度(?!假)|一天[到里]|一日游|百搭|第三方|第二(?:天|杯|局|场|轮)|双人|三方|五星"
)
LIST_NUMBER = re.compile(
    r"(?:(?<=[\n；;。:])|^)\s*[(（]?(?:\d{1,2}|[一二三四五六七八九十]{1,2})[.、)）](?!\d)\s?"
)


def number(words: str) -> tuple[Decimal | None, Decimal, int]:
    """Value, the step it is written with, and its trailing zeros. None: no number."""
    if words[0] in "0123456789":
        plain = words.replace(",", "")
        if len(plain) > LONGEST_NUMBER:
            return None, Decimal(1), 0
        value = Decimal(plain)
    else:
        read = chinese_number(words)
        if read is None:
            return None, Decimal(1), 0
        value = read
    exponent = value.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    step = Decimal(1).scaleb(-decimals)
    zeros = 0
    if decimals <= 0 and value:
        digits = str(int(value))
        zeros = len(digits) - len(digits.rstrip("0"))
    return value, step, zeros


def whole(words: str | None) -> int | None:
    """A whole number; None: none, or not a whole one."""
    if words is None:
        return None
    value, _, _ = number(words)
    if value is None or value != value.to_integral_value():
        return None
    return int(value)
