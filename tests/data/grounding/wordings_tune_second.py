"""More sentences of the half for tuning: once held out, and moved here when their failures were to be read."""

REFS = ("前期", "上一期", "基期")
UP = ("上涨", "提高", "攀升")
DOWN = ("降低", "下跌", "缩减")
UP_TO = ("提升至", "上涨到", "攀升至")
DOWN_TO = ("下滑至", "回落至", "下降到")


SENTENCES = {
    "level": [
        "从总量看，这一窗口的{m}录得{now}。",
        "截至目前，{m}累计{now}，可作为下一步判断的基础。",
        "{m}：{now}。",
    ],
    "change": [
        "这段时间{m}录得{now}，与{ref}相比{way}了{pct}。",
        "{m}整体{way}{pct}，目前为{now}。",
        "{now}的{m}较{ref}{way}{pct}，节奏有变。",
    ],
    "from_to": ["{m}自{before}{to}{now}，趋势明确。", "{ref}{m}是{before}，如今{to}{now}。"],
    "difference": ["相较{ref}，{m}{way}了{diff}，约合{pct}。", "{m}的绝对值{way}{diff}。"],
    "both_periods": ["{ref}的{m}为{before}，本窗口则为{now}。", "{m}：本期{now} / {ref}{before}。"],
    "share_of_before": ["现在的{m}只有{ref}的{of}。"],
    "minutes": ["客人平均每单停留{v}。", "单均时长在{v}上下波动不大。"],
    "rate": ["让利力度由{before}{to}{now}，{way}{gap}。", "优惠率{way}{gap}后来到{now}。"],
    "both": ["订单量与客流双双走弱或走强：前者{way}{p}，后者{way}{q}。", "{a}、{b}依次{way}{p}、{q}。"],
    "daily": ["折算下来每天大约{v}{name}。", "按天数摊，{name}日均{v}。"],
    "fee_share": ["费用里{m}最值得看，{now}，份额{share}。", "{share}的费用来自{m}，合{now}。"],
    "fee_change": ["{m}这一块{way}{pct}，幅度不小。", "{m}比{ref}{way}了{diff}。"],
    "fee_sum": ["{a}加上{b}一共{sum}，比重{share}。"],
    "area_share": [
        "{m}进账{now}，在全店净收入里占到{share}。",
        "分区域看，{m}以{share}的占比带来{now}净收入。",
    ],
    "area_change": ["{m}的净收入{way}了{pct}，应查明原因。", "{m}净收入与{ref}相比{way}{diff}。"],
    "area_sum": ["{a}与{b}两块合起来占了净收入的{share}。", "{a}加{b}，净收入一共{sum}。"],
    "area_gap": ["{b}的净收入比{a}少{gap}。", "{a}领先{b}{gap}（净收入）。"],
    "area_count": ["{n}区域的净收入同时走低。"],
    "recharge": ["本期收到充值{n}，金额{now}，金额{way}{pct}。"],
    "per_recharge": ["单笔充值平均{v}。"],
    "active": ["会员活跃度方面，活跃人次{n}，较{ref}{way}{pct}。"],
    "best": ["单日冠军是{d}（{w}），当天净收入{v}，共开{n}。", "{d}最旺，单日净收入冲到{v}。"],
    "worst": ["最淡的是{d}（{w}），净收入仅{v}，开了{n}。", "谷底落在{d}，净收入{v}。"],
    "best_to_worst": ["高峰日{d}的净收入约为低谷日{e}的{x}。", "{e}与{d}的净收入差距达{gap}。"],
    "weekend": ["平均到每天，周六日净收入{a}，周一至周五{b}。"],
    "weekend_share": ["净收入有{share}出在周末。"],
    "guests_per_order": [],
    "overview": ["这位会员半年内光顾{n}，总共花费{paid}，单次消费{per}。", "过去180天来过{n}，支出{paid}。"],
    "absent": ["上次到店停在{day}，距今{d}。", "已经{d}没来了。"],
    "hours": ["打球总时长{v}，单均时长{per}。"],
    "member_area": ["最常去{a}：{n}，贡献其消费的{share}。", "{share}的消费发生在{a}（{n}）。"],
    "band": ["结账时间集中于{b}，有{n}，消费占比{share}。"],
    "weekday": ["来店高峰在{w}，累计{n}。"],
    "member_weekend": ["逢周末会来，计{n}，比例{share}。"],
    "gap": ["大约隔{g}光顾一回。", "两次到店之间平均相隔{g}。"],
    "month": ["{mo}一共来店{n}，花了{paid}。"],
    "recent_count": ["最近30天{m}{now}，与前30天相比{way}{pct}。", "前30天{m}{before}，最近30天{m}{now}。"],
    "recent_yuan": ["最近30天{m}合计{now}，{way}了{pct}，此前30天为{before}。"],
    "offers": ["用过优惠的订单有{n}，比例{share}，省下{v}。"],
    "member_fee": ["花在{m}上的钱是{v}，约占{share}。"],
    "favourite": ["与助教{a}配合默契，共{n}，付助教费{v}。"],
    "last": ["{d}最后一次来，在{a}，支付{v}。"],
    "joined": ["成为会员已{d}。"],
    "quoted": ["{head}{x}{tail}，可据此安排。", "线索：{head}{x}{tail}。"],
}
TITLES = ["经营概况", "环比表现", "结构观察", "人气变化", "关注点"]
NO_NUMBERS = [
    "不妨对照排班看看闲时的人手。",
    "总的来说，氛围和服务仍是关键。",
    "一来可以增进感情，二来能了解需求。",
    "第一印象很重要，接待要热情。",
    "万一临时改期，也要及时回复。",
    "他偏好熟悉的环境，话不多。",
    "两个人搭档打球更有乐趣。",
    "该店的节奏总体健康。",
]
ADVICE = [
    "建议一周内微信问候，约好下次到店。",
    "可考虑充500送80，限时10天。",
    "不妨在每周三下午安排一场双打赛，名额16人。",
    "争取下个季度把复购率提高5%。",
    "提前1小时留好台位即可。",
]
