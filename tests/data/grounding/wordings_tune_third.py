"""The second set that was held out, tuned on since the third was written. Not here: `wordings_third`."""

REFS = ("上一个周期", "对比窗口", "之前同样长的时间")
UP = ("增长", "抬升", "上行", "提高")
DOWN = ("减少", "走弱", "下调", "下降")
UP_TO = ("增加到", "上行至", "提高到")
DOWN_TO = ("下调至", "减少至", "走低到")

SENTENCES = {
    "level": [
        "期间累计产生{m}{now}。",
        "就{m}而言，数字停留在{now}。",
        "值得一提的是，{m}已有{now}之多。",
    ],
    "change": [
        "{m}的表现：{now}，相对{ref}{way}{pct}。",
        "拿{ref}作参照，{m}{way}了{pct}，目前{now}。",
        "{m}{way}{pct}，绝对水平在{now}。",
        "看{m}，本期{now}，{way}比例{pct}。",
    ],
    "from_to": ["{m}原本是{before}，现在已经{to}{now}。", "由{before}起步，{m}最后{to}{now}。"],
    "difference": ["{m}一共{way}{diff}，占到{ref}的{pct}。", "跟{ref}放在一起看，{m}{way}{diff}。"],
    "both_periods": [
        "{m}方面，{ref}{before}，这一期{now}。",
        "把两期放在一起，{m}本期{now}，{ref}是{before}。",
    ],
    "share_of_before": ["本期{m}折合{ref}的{of}。"],
    "minutes": ["一桌客人通常玩{v}，按每单计算。", "每单平均占台{v}。"],
    "rate": ["优惠率现在{now}，{way}幅度{gap}。", "{ref}优惠率{before}，本期{now}。"],
    "both": ["{a}{way}{p}之余，{b}也{way}{q}。", "{a}与{b}的变动方向一致，{way}幅度各为{p}、{q}。"],
    "daily": ["每日平均接待{v}。", "换算成日均，{name}有{v}。"],
    "fee_share": ["{m}在费用合计中的比重为{share}，对应{now}。", "费用大头之一是{m}，{now}，{share}。"],
    "fee_change": ["{m}一项{way}{diff}，{way}比例{pct}。", "{m}的变化是{way}{pct}。"],
    "fee_sum": ["仅{a}和{b}就有{sum}。", "{a}、{b}这两类合并占比{share}。"],
    "area_share": ["{m}净收入为{now}，相当于全店的{share}。", "全店净收入中{share}由{m}贡献。"],
    "area_change": ["{m}的净收入{way}{diff}，即{pct}。", "{m}净收入的{way}比例是{pct}。"],
    "area_sum": ["{a}连同{b}，净收入达{sum}。", "{a}和{b}相加，占净收入{share}。"],
    "area_gap": ["净收入方面，{a}比{b}高出{gap}。", "从净收入看，{b}距{a}还差{gap}。"],
    "area_count": ["净收入减少的区域一共{n}。"],
    "recharge": ["充值共{n}，总额{now}，总额{way}{pct}。"],
    "per_recharge": ["每笔充值的均值是{v}。"],
    "active": ["活跃会员人次录得{n}，{way}{pct}。"],
    "best": ["{d}是{w}，净收入{v}，订单{n}，全期最佳。", "全期净收入的最高点是{d}的{v}。"],
    "worst": ["{d}是{w}，净收入{v}，订单{n}，全期最弱。", "全期净收入的最低点是{d}的{v}。"],
    "best_to_worst": ["{d}一天的净收入抵得上{e}的{x}。", "{d}与{e}相比，净收入多出{gap}。"],
    "weekend": ["周末平均每日净收入{a}，而工作日每日{b}。", "分开看，周末日均净收入是{a}，工作日则是{b}。"],
    "weekend_share": ["周末合计贡献净收入的{share}。"],
    "overview": ["过去半年到店{n}，平均每次实付{per}，合计{paid}。", "近180天内来访{n}，共实付{paid}。"],
    "absent": ["从{day}到现在，{d}没有到店记录。", "最近到店是{day}，过去了{d}。"],
    "hours": ["消费时长加起来有{v}，每单{per}。", "每单打{per}，消费时长合计{v}。"],
    "member_area": ["{a}去得最多，共{n}，实付占比{share}。", "按区域看，{a}有{n}，约占{share}。"],
    "band": ["偏好{b}时段，{n}，实付占比{share}。"],
    "weekday": ["{w}到店次数最高，达到{n}。"],
    "member_weekend": ["周末到店{n}，折合{share}。"],
    "gap": ["到店节奏约为{g}一次。", "平均隔{g}来一次。"],
    "month": ["{mo}这个月到店{n}，实付{paid}。"],
    "recent_count": [
        "近30天{m}{now}，相比前30天的{before}，{way}{pct}。",
        "{m}次数近30天为{now}，{way}{pct}。",
    ],
    "recent_yuan": ["{m}近30天为{now}，前30天为{before}。", "近30天{m}{way}{pct}，由{before}变为{now}。"],
    "offers": ["享受优惠的有{n}，占全部订单{share}，优惠金额{v}。"],
    "member_fee": ["{m}累计{v}，在费用里占{share}。"],
    "favourite": ["常约的是{a}：{n}，助教费共{v}。"],
    "last": ["最近一单发生在{d}，地点{a}，实付{v}。"],
    "joined": ["入会至今已有{d}。"],
    "quoted": ["从资料可知，{head}{x}{tail}。", "提示：{head}{x}{tail}。"],
}
TITLES = ["总体表现", "收入与费用", "走势提示", "客群观察", "结构与占比"]
NO_NUMBERS = [
    "可以多听听客人的想法。",
    "一言以蔽之，稳住节奏最要紧。",
    "双方配合默契，气氛轻松。",
    "第二天再跟进也不迟。",
    "一般不喜欢被打扰。",
    "各区域的情况大同小异。",
    "尽量让同一位助教接待。",
    "数据还不足以下结论。",
]
ADVICE = [
    "建议在48小时内回复客人。",
    "不妨设一张9折体验券，有效期15天。",
    "可安排每周二、周四各一场小型比赛，名额12人。",
    "目标是把回头率做到30%以上。",
    "为您预留了2号台，晚上7点前都有效。",
]
