"""How the labelled answers' figures are written, and how one of them is made false.

Here: forms of a true value, and mutations. Not here: sentences (`wordings_*`). Nothing
of `ai_assets.trust` is used: what is true is worked out from the prompt's JSON alone.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from random import Random

DIGITS = "零一二三四五六七八九"


@dataclass
class V:
    """A true value. `kind`: yuan, count, percent, points, minutes, hours, ratio, days, date, text.

    `wrong`: values of another label, period or unit that would be false here, by the kind of mistake.
    `forms`: words that add or take away forms; "plain" has one form, for figures listed side by side.
    """

    value: float
    kind: str
    unit: str = ""
    wrong: dict[str, float] = field(default_factory=dict)
    forms: str = ""
    text: str = ""


@dataclass
class Way:
    """A direction told by one of the words `up` or `down`; false where it is turned round."""

    sign: int
    marks: str = ""
    """The slot whose figure is false where the direction is."""


def chinese(number: int) -> str:
    """Below 10,000."""
    if number == 0:
        return "零"
    told, gap = "", False
    for scale, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, scale)
        if digit:
            told += ("零" if gap and told else "") + DIGITS[digit] + name
            gap = False
        else:
            gap = True
    return told.removeprefix("一") if told.startswith("一十") else told


def wide(text: str) -> str:
    """The same in full-width digits."""
    return text.translate(str.maketrans("0123456789.", "０１２３４５６７８９．"))


def trimmed(value: float, places: int) -> str:
    """Rounded, without closing zeros."""
    told = f"{value:.{places}f}"
    return told.rstrip("0").rstrip(".") if "." in told else told


_ROUGH = ("约", "超过", "余", "多", "近", "成")


def write(rng: Random, v: V) -> str:
    """One of the forms in which people and models write this value; a false one in an exact form only.

    (超过38万元 would be true of 39.4万元.)
    """
    for _ in range(50):
        told = _write(rng, v)
        if "exact" not in v.forms or not any(word in told for word in _ROUGH):
            return told
    raise ValueError(v)


def _write(rng: Random, v: V) -> str:
    size = abs(v.value)
    if v.kind == "text":
        return v.text
    if "plain" in v.forms and v.kind == "yuan":
        return f"{size / 1e4:.2f}万元" if size >= 50000 else f"{size:.2f}元"
    if "plain" in v.forms and v.kind == "percent":
        return f"{size:.1f}%"
    if v.kind == "yuan":
        forms = [f"{size:.2f}元", f"{size:,.2f}元", trimmed(size, 2) + "元"]
        if size >= 100:
            forms += [f"{size:,.0f}元", f"{size:.0f}元", f"¥{size:,.2f}"]
        if size >= 20000:
            forms += [
                f"{size / 1e4:.2f}万元",
                f"{size / 1e4:.1f}万元",
                f"{size / 1e4:.2f}万",
                wide(f"{size / 1e4:.2f}") + "万元",
            ]
            forms.append(f"约{size / 1e4:.1f}万元")
            if size % 1e4 > 500:
                forms.append(f"超过{int(size // 1e4)}万元" if size >= 1e5 else f"{int(size // 1e4)}万余元")
        elif size >= 1000:
            forms.append(
                f"约{round(size, -2):.0f}元" if abs(round(size, -2) - size) / size < 0.02 else f"{size:.1f}元"
            )
        return rng.choice(forms)
    if v.kind == "count":
        forms = [f"{size:.0f}{v.unit}", f"{size:.0f}{v.unit}", f"{size:.0f} {v.unit}"]
        if size >= 1000:
            forms += [
                f"{size:,.0f}{v.unit}",
                f"{int(size // 100) * 100}多{v.unit}" if size % 100 else f"{size:.0f}{v.unit}",
            ]
        if 2 < size < 100 and "cn" in v.forms:
            forms.append(chinese(int(size)) + v.unit)
        return rng.choice(forms)
    if v.kind == "percent":
        forms = [f"{trimmed(size, 1)}%", f"{size:.1f}%", f"{size:.1f}%"]
        if size >= 10:
            forms += [
                f"{size:.0f}%",
                f"约{size:.0f}%",
                wide(f"{size:.1f}") + "％",
                f"百分之{chinese(round(size))}",
            ]
            if "cheng" in v.forms and 15 < size < 97:
                tenths, rest = divmod(size, 10)
                if rest > 8:
                    forms.append(f"近{DIGITS[int(tenths) + 1]}成" if tenths < 9 else f"{size:.1f}%")
                elif 1 < rest < 6:
                    forms.append(f"{'两' if tenths == 2 else DIGITS[int(tenths)]}成多")
        return rng.choice(forms)
    if v.kind == "points":
        return rng.choice([f"{trimmed(size, 1)}个百分点", f"{size:.1f}个百分点"])
    if v.kind == "minutes":
        hours, minutes = divmod(round(size), 60)
        forms = [f"{trimmed(size, 1)}分钟", f"{size:.0f}分钟"]
        if hours and minutes:
            forms += [f"{hours}小时{minutes}分钟", f"{size / 60:.1f}小时", f"约{size / 60:.1f}小时"]
        if hours >= 100:
            forms = [f"{size / 60:.0f}小时", f"{size:.0f}分钟", f"{size:,.0f}分钟"]
        return rng.choice(forms)
    if v.kind == "quoted":
        return f"{size:.{v.forms[0]}f}"
    if v.kind == "ratio":
        return rng.choice([f"{size:.1f}倍", f"{size:.2f}倍", f"约{size:.1f}倍"])
    if v.kind == "days":
        forms = [f"{trimmed(size, 1)}天", f"{trimmed(size, 1)} 天"]
        if "cn" in v.forms and size == int(size) and 2 < size < 60:
            forms.append(chinese(int(size)) + "天")
        return rng.choice(forms)
    raise ValueError(v.kind)


def falsify(rng: Random, v: V) -> tuple[str, V] | None:
    """A kind of mistake and the false value, far enough from the true one to be false in any form."""
    kinds = ["digit", "invented", *v.wrong, *v.wrong]
    if v.kind == "yuan":
        kinds.append("unit")
    rng.shuffle(kinds)
    for kind in kinds:
        if kind in v.wrong:
            value = v.wrong[kind]
        elif kind == "digit":
            value = _other_digit(rng, v)
        elif kind == "unit":
            value = v.value * rng.choice([10, 0.1])
        else:
            value = abs(v.value) * rng.choice([0.62, 0.71, 1.37, 1.54]) + (
                rng.randint(2, 4) if v.kind in ("count", "days") else 0
            )
        if v.kind in ("count",) or (v.kind == "days" and v.value == int(v.value)):
            value = float(round(value))
        if value > 0 and _far(value, v):
            return kind, V(value, v.kind, v.unit, forms=v.forms + " exact")
    return None


def _other_digit(rng: Random, v: V) -> float:
    places = (
        0 if v.kind in ("count",) else 1 if v.kind in ("percent", "points", "ratio", "days", "minutes") else 2
    )
    digits = list(f"{abs(v.value):.{places}f}")
    whole = [place for place, letter in enumerate(digits) if letter in string.digits][:2]
    place = rng.choice(whole or [0])
    digits[place] = rng.choice([d for d in "123456789" if d != digits[place]])
    return float("".join(digits))


def _far(value: float, v: V) -> bool:
    true = abs(v.value)
    gap = abs(abs(value) - true)
    if v.kind == "points":
        return gap >= 0.3
    if v.kind in ("count", "days"):
        return gap >= max(1, 0.02 * true)
    return gap > max(0.03 * true, 1.0 if v.kind == "percent" else 0.3)
