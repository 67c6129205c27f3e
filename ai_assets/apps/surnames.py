"""Which part of a person's name is the surname. Pure; not here: what is done with it (`ai_assets.apps.names`)."""

from __future__ import annotations

import re

# two characters each
_COMPOUND_ALL = (
    "欧阳歐陽司马司馬上官诸葛諸葛东方東方皇甫尉迟尉遲公孙公孫慕容令狐宇文长孙長孫司徒司空夏侯"
    "轩辕端木百里东郭南宫南宮独孤獨孤呼延拓跋西门西門濮阳淳于单于太史申屠公羊公冶赫连赫連澹台"
    "闻人万俟宗政仲孙钟离鍾離鲜于闾丘亓官司寇巫马公西漆雕乐正壤驷公良拓拔夹谷宰父谷梁段干东门"
    "羊舌微生梁丘左丘第五纳兰納蘭叶赫完颜范姜"
)
_COMPOUND = frozenset(_COMPOUND_ALL[at : at + 2] for at in range(0, len(_COMPOUND_ALL), 2))
_SINGLE = frozenset(
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛奚范彭郎鲁韦昌马苗凤花方俞任袁柳酆鲍史唐"
    "费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅皮卞齐康伍余元卜顾孟平黄和穆萧尹姚邵湛汪祁毛禹狄米贝明臧计伏成戴谈宋茅庞熊纪舒屈项祝董梁"
    "杜阮蓝闵席季麻强贾路娄危江童颜郭梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万支柯昝管卢莫经房裘缪干解应宗丁宣贲邓郁单杭洪包诸左石崔吉钮龚"
    "程嵇邢滑裴陆荣翁荀羊於惠甄曲家封芮羿储靳汲邴糜松井段富巫乌焦巴弓牧隗山谷车侯宓蓬全郗班仰秋仲伊宫宁仇栾暴甘钭厉戎祖武符刘景詹束龙"
    "叶幸司韶郜黎蓟薄印宿白怀蒲邰从鄂索咸籍赖卓蔺屠蒙池乔阴胥能苍双闻莘党翟谭贡劳逄姬申扶堵冉宰郦雍璩桑桂濮牛寿通边扈燕冀浦尚农温别庄"
    "晏柴瞿阎充慕连茹习宦艾鱼容向古易慎戈廖庾终暨居衡步都耿满弘匡国文寇广禄阙东欧殳沃利蔚越夔隆师巩厍聂晁勾敖融冷訾辛阚那简饶空曾毋沙"
    "乜养鞠须丰巢关蒯相查后荆红游竺权逯盖益桓公肖付代闫邸佟仝覃隋随苑冼区佘岳仉召楚晋涂涅洛宛练凃咼覺苟鹿年旷揭原才帅"
    "趙錢孫鄭馮陳衛蔣韓楊許呂張嚴華謝鄒竇雲蘇魯韋馬鳳費賀湯羅畢鄔樂時齊顧黃蕭貝計談龐紀項閔麻賈婁顏鍾駱萬盧經繆應鄧單諸鈕龔陸榮儲車"
    "寧厲劉龍葉韶蘭賴藺陰蒼雙聞譚勞酈壽邊溫莊閻習魚鞏聶簡饒沒關權蓋豐遊"
)
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿĀ-žḀ-ỿ][A-Za-zÀ-ÖØ-öø-ÿĀ-žḀ-ỿ'’-]*\.?")
_LONGEST_CHINESE = 4
_PARTICLES = frozenset(
    {"van", "von", "de", "da", "di", "del", "la", "le", "bin", "al", "el", "der", "den", "ter"}
)
_NO_NAME = frozenset({"jr", "sr", "ii", "iii", "iv", "mr", "mrs", "ms", "dr", "miss", "sir"})


def surname(name: str) -> str:
    """The surname in a name as it is written there, or "" where none can be told (a handle, one foreign word).

    Chinese names by the known surnames, two characters before one; Latin ones by their last word, or the one before
    a comma, with its particles (van Gogh).
    """
    han = _HAN.match(name.strip())
    if han is not None:
        return _chinese(han[0]) if "·" not in name and "•" not in name else ""
    if _HAN.search(name):
        return ""
    before_comma, comma, _ = name.partition(",")
    if comma:
        words = _words(before_comma)
        return " ".join(words) if 0 < len(words) <= len(_PARTICLES) else ""
    words = _words(name)
    if len(words) < 2:
        return ""
    first = len(words) - 1
    while first > 1 and words[first - 1].casefold() in _PARTICLES:
        first -= 1
    return " ".join(words[first:])


def _chinese(name: str) -> str:
    if name[:2] in _COMPOUND and len(name) <= _LONGEST_CHINESE + 1:
        return name[:2]
    return name[0] if name[0] in _SINGLE and 1 < len(name) <= _LONGEST_CHINESE else ""


def _words(name: str) -> list[str]:
    found = [word.rstrip(".") for word in _LATIN_WORD.findall(name)]
    return [word for word in found if word.casefold() not in _NO_NAME]
