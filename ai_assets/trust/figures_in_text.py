"""The number reader: every figure written in a Chinese text, with what it may stand for.

Here: forms of writing (39.5万, 百分之二十, 近三成, 8.5折, 2.1倍, 1小时52分钟, 6月13日, 18:01, 第二) and their
rounding. Not here: whether a figure is true (`judging`), what it is about (`topics`). Words with a numeral in
them that say no number (一方面, 三五好友, 第一次, 中八, list numbers) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ai_assets.trust.chinese_numerals import DIGITS, NUMERAL, chinese_number

LONGEST_NUMBER: Final = 30
"""A longer row of digits is read as no number that anything could be: it has no value."""

_ARABIC = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?"
_N = rf"(?:{_ARABIC}|{NUMERAL})"
_UNITS: Final[dict[str, tuple[str, int]]] = {
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
    "单": "价均日笔",
    "次": "均",
    "人": "均",
    "位": "于居列",
    "周": "一二三四五六末",
    "日": "均",
    "个": "别",
}
"""Letters after a unit that make another word of it: 45.86万回升."""
_UNIT = "|".join(
    unit + (f"(?![{_NO_UNIT_BEFORE[unit]}])" if unit in _NO_UNIT_BEFORE else "")
    for unit in sorted(_UNITS, key=len, reverse=True)
)
_SCALES: Final = {
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
_FORM = re.compile(
    rf"(?P<ymd>(?P<y1>\d{{4}}|[零〇一二三四五六七八九]{{4}})\s?[-/.年]\s?(?P<m1>{_N})\s?[-/.月]\s?(?P<d1>{_N})(?:日|号|(?![\d.])))"
    rf"|(?P<ym>(?P<y2>\d{{4}}|[零〇一二三四五六七八九]{{4}})(?:年(?P<m2>{_N})月份?|-(?P<m2b>0[1-9]|1[0-2])(?![\d-])))"
    rf"|(?P<md>(?P<m3>\d{{1,2}}|[一二三四五六七八九十]{{1,2}})月(?P<d3>\d{{1,2}}|[一二三四五六七八九十]{{1,3}})(?:[日号]|(?=\s?[-~至到]\s?\d{{1,2}}[日号])))"
    r"|(?P<slash>(?<![\d./-])(?:0?[1-9]|1[0-2])/(?:[12]\d|3[01]|0?[1-9])(?![\d/])|(?<![\d.-])(?:0[1-9]|1[0-2])-(?:[12]\d|3[01]|0[1-9])(?![\d\-点元天单次人个%时]))"
    r"|(?P<days>(?<![\d./月-])(?P<from>[12]?\d|3[01])[日号]?(?=\s?[至到~-]\s?(?:[12]?\d|3[01])[日号](?!均|间)))"
    r"|(?P<month>(?P<m4>\d{1,2}|[一二三四五六七八九十]{1,2})月(?:份|初|中旬|上旬|下旬|底|末)?)"
    r"|(?P<clock>(?<![\d:])(?P<h1>[01]?\d|2[0-4]):(?P<min1>[0-5]\d)(?::[0-5]\d)?(?!\d))"
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
    rf"(?P<unit>[%‰]|个百分点|百分点|pct|pp|成(?:(?P<chengtail>[一二三四五六七八九\d](?!个|天|次))?(?P<chengmore>多|以上)?(?![为功员本交立长果熟绩都年人效就套]))|折|倍|个半(?:小时|钟头|月)|{_UNIT})?)"
)
_PERCENT_WORDS = re.compile(rf"百分之(?P<num>{_N})")

_ABOUT = re.compile(r"(?:大约|约为|约|大概|差不多|左右|上下|几乎|基本在?|~|≈)\s?[为有占达]?\s?(?:[¥￥]|在)?$")
_NEAR = re.compile(r"(?:将近|接近|近|临近|逼近|近乎)\s?[¥￥]?$")
_UNDER = re.compile(r"(?:不到|不足|低于|少于|不满|未满|不超过|至多|最多|小于|未到|未达)\s?[了过]?[¥￥]?$")
_OVER = re.compile(r"(?:超过|超出|超|逾|突破|高于|多于|大于|不低于|不少于|至少|破)\s?[了过]?[¥￥]?$")
_AFTER_ABOUT = re.compile(r"\s?(?:左右|上下|前后|出头)")
_AFTER_OVER = re.compile(r"\s?(?:以上|开外|有余|多(?!\s?[\d约近了出]))")
_AFTER_UNDER = re.compile(r"\s?(?:以下|以内|之内)")

_NO_FIGURE = re.compile(
    r"[前上]一(?:个|段|轮|期|窗|周|月|天|日|季|阶|时|统|可)|以[^，。；\d]{1,14}[为作]\s?100%|上个?30天|上个?三十天|两次(?=之间|间隔|到店之间|消费之间|到店的间隔)|两期|第一时间|第一次|第一手|第一步|第二步|第三步|第[一二三四五](?=[，,、：:])|一方面|另一方面|二人世界|三五|一二三|"
    r"(?:周末|周六日|周[一二三四五六日][和、与]周[一二三四五六日])(?:这)?两[天日]|最[好差高低旺淡忙强弱]的?[前后]?[两三四五2-5][天日]|[两三四五六七](?:天|日|区|个区域)(?=合计|都是|都|均为|之和|相差|之间|加起来)|前[两三四五][天日]|(?<=[日）)])[两三四五六七]天|[两三四五]日(?=合计|均|净)|双十一|双十二|六一|五一|十一(?=黄金|长假|假期)|九球|八球|中八|黑八|十佳|十分(?!钟)|百分百|一站式|一对一|"
    r"一次性|二次消费|二次到店|三缺一|四季|万一|千万|七夕|八折扣|二楼|一楼|三楼|24小时营业|7x24|O2O|[Aa]pp\d|"
    r"(?:一|1)[个位条类件份种些家张]|一天[到里]|一日游|百搭|第三方|第二(?:天|杯|局|场|轮)|双人|三方|五星"
)
_LIST_NUMBER = re.compile(
    r"(?:(?<=[\n；;。:])|^)\s*[(（]?(?:\d{1,2}|[一二三四五六七八九十]{1,2})[.、)）](?!\d)\s?"
)


@dataclass(frozen=True, slots=True)
class Written:
    """A figure as it is written, at `start` to `end` of the plain text.

    `kind` and `value`: yuan, orders, people, visits, count, number (bare), percent (in %), points (percentage
    points), ratio (times), discount (percent of the price), minutes, days, years, id, ordinal, clock (minutes
    of the day), date, month (both in `day`: year, month, day, each may be None). `low` to `high`: what it may
    stand for, by its rounding and by words such as 约, 近, 超过. `value` None: too long to be a number.
    """

    start: int
    end: int
    text: str
    kind: str
    value: Decimal | None
    low: float = 0.0
    high: float = 0.0
    day: tuple[int | None, int | None, int | None] | None = None
    exact: bool = True
    signed: bool = False

    @property
    def told(self) -> str:
        """The value for people."""
        if self.day is not None:
            return "-".join("?" if part is None else f"{part:02d}" for part in self.day)
        if self.value is None:
            return "a row of digits too long to be a number"
        if self.kind == "clock":
            return f"{int(self.value) // 60:02d}:{int(self.value) % 60:02d}"
        return f"{self.value:f} {self.kind}"


def figures_in_text(text: str) -> Iterator[Written]:
    """The figures of a plain text (`plain_text.plain`), in its order."""
    at = 0
    numbered = [(m.start(), m.end()) for m in _LIST_NUMBER.finditer(text)]
    blocked = numbered + [(m.start(), m.end()) for m in _NO_FIGURE.finditer(text)]
    blocked.sort()
    block = 0
    month: int | None = None
    while match := _FORM.search(text, at):
        start = match.start()
        while block < len(blocked) and blocked[block][1] <= start:
            block += 1
        if block < len(blocked) and blocked[block][0] <= start < blocked[block][1]:
            at = max(blocked[block][1], start + 1)
            continue
        if percent := _PERCENT_WORDS.match(text, start) if text.startswith("百分之", start) else None:
            found = _percent_words(text, percent)
            at = percent.end()
        else:
            found = _read(text, match, month)
            at = match.end() if match.end() > start else start + 1
        if found is None:
            continue
        if found.day is not None:
            month = found.day[1]
        yield found
        at = max(at, found.end)


def _percent_words(text: str, match: re.Match[str]) -> Written | None:
    value, step, _ = _number(match["num"])
    if value is None:
        return None
    return _ranged(text, match.start(), match.end(), "percent", value, step)


def _number(words: str) -> tuple[Decimal | None, Decimal, int]:
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


def _read(text: str, match: re.Match[str], month: int | None) -> Written | None:
    group = match.group
    start, end = match.span()
    if group("ymd"):
        return _date(text, start, end, group("y1"), group("m1"), group("d1"))
    if group("ym"):
        return _date(text, start, end, group("y2"), group("m2") or group("m2b"), None)
    if group("md"):
        return _date(text, start, end, None, group("m3"), group("d3"))
    if group("slash"):
        left, right = re.split("[/-]", group("slash"))
        return _date(text, start, end, None, left, right)
    if group("days"):
        return _span_start(text, match, month)
    if group("month"):
        return _date(text, start, end, None, group("m4"), None)
    if group("clock"):
        return _clock(text, start, end, int(group("h1")), int(group("min1")))
    if group("oclock"):
        return _oclock(text, match)
    if group("fraction"):
        return _fraction(text, match)
    if group("half"):
        kind_low, kind_high = (50.0, 65.0) if group("half") == "过半" else (45.0, 55.0)
        return Written(start, end, text[start:end], "percent", Decimal(50), kind_low, kind_high, exact=False)
    if group("ordinal"):
        value, _, _ = _number(group("rank"))
        if value is None:
            return None
        if group(0)[0] == "前" and group("rankunit") not in (None, "名", "大", "个", "位", "家", "项"):
            return _days_before(text, match, value)
        return Written(start, end, text[start:end], "ordinal", value, float(value), float(value))
    if group("double"):
        return Written(start, end, text[start:end], "ratio", Decimal(2), 1.9, 2.15, exact=False)
    if group("hm"):
        return _hours_and_minutes(text, match)
    if group("halves"):
        return _halves(text, start, end)
    if group("pair"):
        return _pair(text, match)
    if group("teens"):
        kind, size = _UNITS[group("teenunit")]
        return Written(
            start, end, text[start:end], kind, Decimal(11 * size), 11.0 * size, 19.0 * size, exact=False
        )
    return _amount(text, match, month)


def _days_before(text: str, match: re.Match[str], value: Decimal) -> Written:
    kind, size = _UNITS.get(match["rankunit"], ("number", 1))
    start, end = match.start("rank"), match.end()
    return Written(start, end, text[start:end], kind, value * size, float(value * size), float(value * size))


def _whole(words: str | None) -> int | None:
    if words is None:
        return None
    value, _, _ = _number(words)
    if value is None or value != value.to_integral_value():
        return None
    return int(value)


def _date(
    text: str, start: int, end: int, year: str | None, month: str | None, day: str | None
) -> Written | None:
    y, m, d = _whole(year), _whole(month), _whole(day)
    if m is None or not 1 <= m <= 12 or (day is not None and (d is None or not 1 <= d <= 31)):
        return None
    kind = "month" if d is None else "date"
    return Written(start, end, text[start:end], kind, Decimal(m if d is None else m * 100 + d), day=(y, m, d))


def _span_start(text: str, match: re.Match[str], month: int | None) -> Written | None:
    """8日至14日: the day that a span begins at; its month may be told before, or not at all."""
    start, end = match.span()
    day = int(match["from"])
    behind = re.match(r"\s?[至到~-]\s?(\d{1,2})", text[end : end + 6])
    if behind is None or not 1 <= day < int(behind[1]):
        return None
    return Written(start, end, text[start:end], "date", Decimal(day), day=(None, month, day))


_PM = re.compile(r"(?:下午|傍晚|晚上|晚间|夜里|深夜|晚|夜间|午后)\s?$")


def _clock(text: str, start: int, end: int, hour: int, minute: int) -> Written | None:
    if not (0 <= hour <= 24 and 0 <= minute < 60):
        return None
    if hour < 12 and _PM.search(text, max(0, start - 4), start):
        hour += 12
    value = hour * 60 + minute
    return Written(start, end, text[start:end], "clock", Decimal(value), float(value), float(value))


def _oclock(text: str, match: re.Match[str]) -> Written | None:
    hour = _whole(match["h2"])
    told = match["min2"]
    fixed = {None: 0, "半": 30, "整": 0, "一刻": 15, "三刻": 45}
    minute = fixed[told] if told in fixed else _whole((told or "").rstrip("分"))
    if hour is None or minute is None:
        return None
    return _clock(text, match.start(), match.end(), hour, minute)


def _fraction(text: str, match: re.Match[str]) -> Written | None:
    start, end = match.span()
    if match["below"] in ("百", "100"):
        value, step, _ = _number(match["above"])
        return None if value is None else _ranged(text, start, end, "percent", value, step)
    if match["below"] == "千":
        value, step, _ = _number(match["above"])
        return None if value is None else _ranged(text, start, end, "percent", value / 10, step / 10)
    below, _, _ = _number(match["below"])
    above, _, _ = _number(match["above"])
    if not below or above is None:
        return None
    value = above * 100 / below
    # a fraction is a rounded way to say a share: a third is 30 % to 36 %
    return Written(
        start,
        end,
        text[start:end],
        "percent",
        round(value, 4),
        float(value) - 3,
        float(value) + 3,
        exact=False,
    )


def _hours_and_minutes(text: str, match: re.Match[str]) -> Written | None:
    hours, minutes = _number(match["hours"])[0], _number(match["minutes"])[0]
    if hours is None or minutes is None:
        return None
    return _ranged(text, match.start(), match.end(), "minutes", hours * 60 + minutes, Decimal(1))


def _halves(text: str, start: int, end: int) -> Written:
    unit = text[start + 1 : end]
    kind, size = {"天": ("days", Decimal("0.5"))}.get(unit, (_UNITS[unit][0], Decimal(_UNITS[unit][1]) / 2))
    slack = 0.06 if size > 20 else 0.0
    return Written(
        start,
        end,
        text[start:end],
        kind,
        size,
        float(size) * (1 - slack),
        float(size) * (1 + slack),
        exact=False,
    )


def _pair(text: str, match: re.Match[str]) -> Written | None:
    low, high = (_number(letter)[0] for letter in match["two"])
    if low is None or high is None or high != low + 1:
        return None
    tens = 10 if match["pairunit"] else 1
    kind, size = ("percent", 10) if match["pu"] == "成" else _UNITS[match["pu"]]
    size *= tens
    start, end = match.span()
    return Written(
        start, end, text[start:end], kind, low * size, float(low) * size, float(high) * size, exact=False
    )


def _amount(text: str, match: re.Match[str], month: int | None) -> Written | None:
    words, unit = match["num"], match["unit"] or ""
    start, end = match.span()
    if words[0] in "0123456789" and len(words.replace(",", "")) > LONGEST_NUMBER:
        return Written(start, end, text[start : start + 40], "number", None)
    before = text[start - 1] if start else ""
    if words[0] in "0123456789" and before.isascii() and (before.isalpha() or before == "_") and not unit:
        return None
    if unit == "折" and len(words) == 2 and all(letter in DIGITS for letter in words):
        # 八五折: digit by digit
        words = "".join(str(DIGITS[letter]) for letter in words)
    value, step, zeros = _number(words)
    if value is None:
        return None
    chinese = words[0] not in "0123456789"
    if chinese and len(words) == 1 and before in ("周", "期", "拜"):
        return None
    scale, more = match["scale"], match["more"]
    if chinese and not _counts(words, unit, scale, more):
        return None
    size = Decimal(_SCALES[scale]) if scale else Decimal(1)
    value, step = value * size, step * size
    if chinese and not scale and not unit.startswith("成"):
        # 三十万 is written to the ten thousand, 三千 to the thousand
        trailing = next((letter for letter in reversed(words) if letter in "亿万千百"), None)
        if trailing == words[-1] and trailing in ("亿", "万"):
            step = Decimal(_SCALES[trailing])
            zeros = 0
    if match["sign"] and match["sign"][0] == "-":
        value = -value
    signed = bool(match["sign"])
    if unit == "日" and 1 <= value <= 31 and not more and not scale and _is_day(text, start, month):
        return Written(start, end, text[start:end], "date", value, day=(None, month, int(value)))
    if unit == "号" and month is not None and 1 <= value <= 31:
        return Written(start, end, text[start:end], "date", value, day=(None, month, int(value)))
    if unit == "年" and 1900 <= value <= 2999:
        return Written(
            start,
            end,
            text[start:end],
            "year",
            value,
            float(value),
            float(value),
            day=(int(value), None, None),
        )
    kind, times, extra = _kind_of(unit, match)
    if match["money"]:
        kind = "yuan"
    value, step = (value + extra) * times, step * times / (4 if extra and not scale else 1)
    return _ranged(text, start, end, kind, value, step, zeros, more, signed=signed, raw_size=size * times)


_DAY_BEFORE: Final = re.compile(r"(?<![\d月])(?:[12]?\d|3[01])[日号]?\s?[至到~-]\s?$")


def _is_day(text: str, start: int, month: int | None) -> bool:
    """Whether 14日 is a day of the month told before it, or ends a span of days."""
    if month is None:
        return bool(_DAY_BEFORE.search(text[max(0, start - 6) : start]))
    return bool(re.search(r"(?:[至到~、和与及\-]|[日号])\s?$", text[max(0, start - 2) : start]))


def _counts(words: str, unit: str, scale: str | None, more: str | None) -> bool:
    """Whether a Chinese numeral here says a number: a single one needs a unit that counts."""
    if unit.startswith(("成", "折", "倍", "%", "个百分点", "百分点")):
        return not (unit == "折" and words in ("打", "一"))
    if words == "一":
        return bool(scale) or unit in ("小时", "个小时", "分钟", "个半小时") or unit.startswith("个半")
    if len(words) == 1 and not scale:
        if not unit or unit in ("张", "家", "号", "日", "分", "回", "年", "类", "项", "条", "名", "块"):
            return unit in ("年", "项", "类", "条") and words not in "零〇两"
        return not (words == "两" and unit in ("个", "位", "个人")) and words not in "零〇"
    if not unit and not more:
        # 三千 送 五百 is money; 百, 千 alone are not
        return any(letter in "十百千万亿" for letter in words) and words not in ("十",)
    return True


def _kind_of(unit: str, match: re.Match[str]) -> tuple[str, Decimal, Decimal]:
    """Kind, the size of the unit, and what is added before it (个半: a half)."""
    none, half = Decimal(0), Decimal("0.5")
    if unit in ("%", "pct"):
        return "percent", Decimal(1), none
    if unit == "‰":
        return "percent", Decimal("0.1"), none
    if unit in ("个百分点", "百分点", "pp"):
        return "points", Decimal(1), none
    if unit.startswith("成"):
        tail = match["chengtail"]
        value, _, _ = _number(tail) if tail else (none, none, 0)
        return "percent", Decimal(10), (value or none) / 10
    if unit == "折":
        return "discount", Decimal(10), none
    if unit == "倍":
        return "ratio", Decimal(1), none
    if unit.startswith("个半"):
        return ("minutes", Decimal(60), half) if unit != "个半月" else ("days", Decimal(30), half)
    kind, size = _UNITS.get(unit, ("number", 1))
    return kind, Decimal(size), none


def _ranged(
    text: str,
    start: int,
    end: int,
    kind: str,
    value: Decimal,
    step: Decimal,
    zeros: int = 0,
    more: str | None = None,
    *,
    signed: bool = False,
    raw_size: Decimal = Decimal(1),
) -> Written:
    if kind == "discount":
        # 85折 and 8.5折 are the same
        while value >= 100:
            value, step = value / 10, step / 10
    if kind == "percent" and text[start:end].find("成") >= 0:
        tail = bool(re.search(r"成[一二三四五六七八九\d]", text[start:end]))
        step = Decimal(1) if tail else Decimal(10)
        if re.search(r"成[一二三四五六七八九\d]?(?:多|以上)", text[start:end]):
            more = "多"
    size = float(abs(value))
    half = float(step) / 2
    # rounding to even and to the far side both happen: a hair of the step is forgiven
    hair = half * 1e-3 + size * 1e-9
    low, high = size - half - hair, size + half + hair
    around = max(float(step), float(raw_size) * 10**zeros)
    exact = False
    before = text[max(0, start - 6) : start]
    if more in ("多", "余", "几"):
        low, high = size, size + max(float(step) if step > 1 else 0.0, around)
    elif _OVER.search(before) or _AFTER_OVER.match(text, end):
        low, high = size - (half if zeros == 0 else hair), size + max(around, size * 0.12)
    elif _UNDER.search(before) or _NEAR.search(before) or _AFTER_UNDER.match(text, end):
        low, high = size - max(around, size * 0.12), size + (half if zeros == 0 and step <= 1 else hair)
        if kind == "days" and _NEAR.search(before):
            # 近三个月, 近180天: a span by its name
            low, high = size * 0.96, size * 1.04
    elif more == "来" or _ABOUT.search(before) or _AFTER_ABOUT.match(text, end):
        slack = max(half, size * 0.025, min(around / 2, size * 0.06))
        low, high = size - slack, size + slack
    else:
        exact = True
    if kind == "days" and raw_size >= 7 and exact:
        # weeks and months of days are told in whole ones
        slack = min(half, 0.04 * size) if raw_size >= 30 else half
        low, high = size - slack, size + slack
    if value < 0:
        low, high = -high, -low
    return Written(start, end, text[start:end], kind, value, low, high, exact=exact, signed=signed)
