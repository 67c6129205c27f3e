"""The sentences of the half that the judge may be tuned on. Not here: the other half's (`wordings_held_out`)."""

REFS = ("对比期", "上期", "上一周期")
UP = ("增长", "上升", "提升", "增加")
DOWN = ("下降", "减少", "下滑", "回落")
UP_TO = ("增至", "升至", "增长到")
DOWN_TO = ("降至", "减少到", "回落到")
MORE, LESS = "多", "少"

SENTENCES = {
    "level": ["本期{m}为{now}。", "{m}共{now}，是判断经营好坏的主线。", "整体来看，{m}达到{now}。"],
    "change": [
        "本期{m}{now}，较{ref}{way}{pct}。",
        "{m}为{now}，环比{way}{pct}，值得留意。",
        "{m}{way}明显，{way}幅度为{pct}，本期为{now}。",
        "{m}{now}，{way}了{pct}。",
    ],
    "from_to": ["{m}由{ref}的{before}{to}{now}。", "{m}从{before}{to}{now}，变化需要关注。"],
    "difference": ["与{ref}相比，{m}{way}{diff}，幅度{pct}。", "{m}较{ref}{way}{diff}（{pct}）。"],
    "both_periods": ["{m}本期{now}，{ref}{before}。", "{m}方面，本期为{now}，而{ref}为{before}。"],
    "share_of_before": ["本期{m}仅相当于{ref}的{of}。", "{m}是{ref}的{of}。"],
    "minutes": ["每单时长{v}，客人停留较稳定。", "平均每单打{v}。"],
    "rate": ["优惠率从{before}{to}{now}，{way}{gap}。", "优惠率为{now}，较{ref}{way}{gap}。"],
    "both": ["{a}和{b}分别{way}{p}和{q}。", "{a}{way}{p}，{b}{way}{q}。"],
    "daily": ["日均{name}约{v}。", "平均每天{v}{name}。"],
    "fee_share": ["{m}收入{now}，占费用的{share}。", "{m}占比{share}，金额为{now}。"],
    "fee_change": ["{m}较{ref}{way}{pct}。", "{m}{way}{diff}，{way}{pct}。"],
    "fee_sum": ["{a}与{b}合计占{share}，两项共{sum}。"],
    "area_share": ["{m}净收入{now}，占比{share}。", "{m}贡献了{share}的净收入，为{now}。"],
    "area_change": ["{m}净收入{way}{pct}。", "{m}较{ref}{way}{diff}。"],
    "area_sum": ["{a}和{b}合计贡献{share}的净收入。", "{a}、{b}两个区域合计净收入{sum}。"],
    "area_gap": ["{a}比{b}多收入{gap}。", "{a}与{b}的净收入相差{gap}。"],
    "area_count": ["有{n}区域的净收入下降。"],
    "recharge": ["充值金额{now}，共{n}，较{ref}{way}{pct}。"],
    "per_recharge": ["平均每笔充值{v}。"],
    "active": ["活跃会员{n}，{way}{pct}。"],
    "best": ["{d}（{w}）表现最好，净收入{v}，订单{n}。", "净收入最高的是{d}，达{v}。"],
    "worst": ["{d}（{w}）最差，净收入只有{v}，订单{n}。", "净收入最低的一天是{d}，为{v}。"],
    "best_to_worst": ["{d}的净收入是{e}的{x}。", "{d}比{e}多收入{gap}。"],
    "weekend": ["周末日均净收入{a}，工作日日均{b}。"],
    "weekend_share": ["周末贡献了{share}的净收入。"],
    "guests_per_order": [],
    "overview": ["近180天到店{n}，实付合计{paid}，每次到店实付{per}。", "近半年来店{n}，累计消费{paid}。"],
    "absent": ["最近一次到店是{day}，已有{d}未到店。", "距最近到店{d}。"],
    "hours": ["累计消费时长{v}，每单{per}。"],
    "member_area": ["偏爱{a}，订单{n}，占实付的{share}。", "{a}消费{n}，占比{share}。"],
    "band": ["多在{b}结账，共{n}，占{share}。"],
    "weekday": ["{w}到店最多，有{n}。"],
    "member_weekend": ["周末到店{n}，占{share}。"],
    "gap": ["平均每{g}来一次。", "到店平均间隔{g}。"],
    "month": ["{mo}到店{n}，实付{paid}。"],
    "recent_count": ["近30天{m}{now}，较前30天{way}{pct}。", "近30天{m}由{before}{to}{now}。"],
    "recent_yuan": ["近30天{m}{now}，比前30天的{before}{way}{pct}。"],
    "offers": ["{n}使用了优惠，占{share}，优惠金额{v}。"],
    "member_fee": ["{m}{v}，占比{share}。"],
    "favourite": ["常约助教{a}，一起打过{n}，助教费{v}。"],
    "last": ["最近一单在{d}，{a}，实付{v}。"],
    "joined": ["入会{d}。"],
    "quoted": ["{head}{x}{tail}。", "资料提到：{head}{x}{tail}。"],
}
TITLES = ["净收入情况", "与对比期的变化", "经营要点", "客流与订单", "构成与走势"]
NO_NUMBERS = [
    "建议结合客流与时段找出变化的来源。", "一方面要稳住老客，另一方面要拓展新客。", "第一时间跟进，做好服务。", "可邀请三五好友一起来打球。",
    "千万不要群发消息，逐一问候更合适。", "整体表现平稳，没有明显异常。", "该会员喜欢安静的环境。", "可以围绕主要来源安排人手与陈列。",
]
ADVICE = ["建议3天内电话回访一次。", "可推出满200减30的活动，为期两周。", "建议提前30分钟预留台位。", "计划下月把闲时上座提升10%。", "可考虑周二推出8折券。"]
