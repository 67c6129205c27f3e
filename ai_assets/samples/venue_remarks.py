"""What staff write about a visit, in Chinese: each remark with what must hold of the visit for it to be written.

Here: the remarks, and choosing among those that fit. Not here: what can hold (`venue_scene`), which visits are
written about (`venue_notes`).
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from ai_assets.samples.chance import pick
from ai_assets.samples.venue_scene import (
    Fits,
    Scene,
    alone,
    assisted,
    at_least,
    billiards,
    by_day,
    discounted,
    fading,
    from_balance,
    in_area,
    late,
    long,
    new,
    no,
    of_kind,
    regular,
    thrifty,
    weekend,
    with_favourite,
    young_man,
)


class Remark(NamedTuple):
    """A text with places to fill, and what must hold: all of it."""

    text: str
    conditions: tuple[Fits, ...]

    def fits(self, scene: Scene) -> bool:
        """Whether it may be written about this visit."""
        return all(holds(scene) for holds in self.conditions)


def _r(text: str, *conditions: Fits) -> Remark:
    return Remark(text, conditions)


_MAHJONG, _KTV = in_area("mahjong"), in_area("ktv")
_BUSINESS, _STUDENT, _CARDS = of_kind("商务"), of_kind("学生"), of_kind("牌友")

REMARKS: dict[str, tuple[Remark, ...]] = {
    "play": (
        _r("今天在{area}打了{hours}小时，手感很好，问下周有没有月赛可以报名。", billiards),
        _r("走位比上个月稳多了，想固定周末下午找人陪练斯诺克。", in_area("snooker"), no(new)),
        _r("只喜欢靠里面的球台，说外侧灯光有点晃眼。", billiards),
        _r("自己带杆，杆头该换了，问店里能不能帮忙修。", billiards),
        _r("跟朋友约了局，{area}打满{hours}小时，输了请客，很爱面子。", billiards, at_least(2)),
        _r("固定牌搭子{guests}个人，打了{hours}小时，问下午场能不能包月。", _MAHJONG, at_least(3)),
        _r("喜欢靠窗的房间，说三号机洗牌声音有点大。", _MAHJONG),
        _r("带了{guests}个人唱到很晚，问周末包厢能不能提前一周订。", _KTV, at_least(2), late),
        _r("说麦克风有杂音，老歌也少，希望更新曲库。", _KTV),
    ),
    "rhythm": (
        _r("老规矩，{weekday}又来了，还是{area}，问能不能长期留位。", regular),
        _r("每{weekday}都来，今天打了{hours}小时，说这是一周里最放松的时候。", regular, billiards),
        _r("最近来得少了，说换了工作、离得远，再看情况。", fading),
        _r("说附近新开了一家球房，价格便宜些，去试过两次。", fading, billiards),
        _r("第一次办卡不久，规则还不太熟，想先多来几次看看。", new),
        _r("新会员，朋友介绍来的，对环境满意，问新人有没有体验课。", new, billiards),
    ),
    "assistant": (
        _r("表扬{assistant}态度好、教得细，希望下次还安排同一位。", assisted, billiards),
        _r("表扬{assistant}会照顾气氛，客人都玩得开心。", assisted, no(billiards)),
        _r("又点了{assistant}，说配合有默契，想提前约下周同一时间。", with_favourite, no(new)),
        _r("{assistant}陪练了很久，杆法进步明显，想再学走位。", with_favourite, billiards, long),
        _r("平时那位助教没排上，由{assistant}代班，略有失望。", assisted, no(with_favourite), no(new)),
    ),
    "spend": (
        _r("每次来必点冰美式和花生，今天又加了一份小食拼盘。", no(thrifty), no(new)),
        _r("嫌酒水比外面贵，自己带了水，问整箱买能不能优惠。", thrifty),
        _r("先问有没有活动再开台，用了团购券，问和会员日能不能叠加。", thrifty, discounted),
        _r("特意挑下午低价时段来，说晚上价格太高。", thrifty, by_day),
        _r("用了优惠券，结账时核对得很仔细。", discounted),
        _r("消费比较爽快，介绍新套餐直接就用了，结账没看明细。", no(thrifty), no(discounted)),
        _r("问充值活动，说满三千送五百才划算，再等等。", no(from_balance)),
        _r("说卡里余额还能用一阵，续卡的时候要送点东西。", from_balance),
    ),
    "social": (
        _r("这次带了{guests}个人，有两位是第一次来，可以跟进办卡。", at_least(3)),
        _r("公司同事团建想包场，大概二十人，月底前定。", of_kind("商务", "聚会")),
        _r("带客户来的，要安静，酒水先上好，不要打扰。", _BUSINESS, in_area("vip")),
        _r("和隔壁台的老会员成了球友，约好以后{weekday}一起来。", regular, billiards),
        _r("带女朋友来的，想一起学球，可以推荐入门课。", billiards, at_least(2), no(at_least(3)), young_man),
        _r("一个人来的，爱聊天，不喜欢被催着加时。", alone),
        _r("同宿舍几个人拼台，问有没有学生价。", _STUDENT, at_least(2)),
    ),
    "feedback": (
        _r("反映{area}空调太冷，已经调高两度，下次提前问。"),
        _r("说洗手间地面有点滑，已请保洁处理。"),
        _r("等位四十分钟有点不高兴，送了两瓶水安抚。", weekend),
        _r("觉得周末人太多，以后想改到工作日下午来。", weekend, no(regular)),
        _r("投诉台呢有破损、影响走球，当场换了台，已报修。", billiards),
        _r("夸前台记得自己的习惯，一到就把水和零食备好了。", no(new)),
        _r("走的时候说太晚了不好打车，问能不能帮忙叫车。", late),
    ),
    "basics": (
        _r("刚搬到附近住，走路十分钟，说以后方便常来。", new),
        _r("做外贸的，常出差，每个月下旬才回上海。", _BUSINESS),
        _r("手腕有旧伤，打久了会疼，不要推长时段套餐。", billiards),
        _r("不喝酒，问有没有无烟区。", no(_KTV)),
        _r("快考试了，说考完再多来。", _STUDENT),
        _r("退休了时间多，喜欢下午来，晚上要回家带孙子。", _CARDS, no(late)),
    ),
}
_WEIGHTS = {
    "play": 26,
    "rhythm": 14,
    "assistant": 16,
    "spend": 18,
    "social": 14,
    "feedback": 16,
    "basics": 10,
}


def remarks(rng: Random, scene: Scene) -> str:
    """One remark that fits the visit, at times two of different sorts."""
    fitting = {sort: [one.text for one in all_ if one.fits(scene)] for sort, all_ in REMARKS.items()}
    weights = {sort: _WEIGHTS[sort] for sort, texts in fitting.items() if texts}
    chosen = [pick(rng, weights)]
    if rng.random() < 0.3:
        del weights[chosen[0]]
        chosen.append(pick(rng, weights))
    return "".join(scene.fill(rng.choice(fitting[sort])) for sort in chosen)
