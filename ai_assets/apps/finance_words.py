"""The Chinese words of the finance prompts: labels of figures, the task, the form of the answer.

Here: words only. A changed word changes every prompt's text, and so makes every answer anew.
"""

from __future__ import annotations

TASK = (
    "你是连锁球房（台球、斯诺克、麻将、KTV）的经营财务分析师。请根据下面的数据，为门店管理者写出这个时间窗口内该区域的财务洞察："
    "收入与优惠的变化及原因线索、客流与客单、构成的变化、走势与异常的日子、值得采取的行动。"
    "只使用下面给出的数字，或能由它们直接算出的数字；值为 null 表示没有数据，不要猜测；请先看数据说明。"
)
ANSWER_FORM = (
    '只回答一个 JSON 对象，不要其他文字：{"insights": [{"title": "标题", "body": "正文", "tone": "good"}]}；'
    "insights 为 1 至 10 条，tone 为 good（好）、neutral（中性）或 bad（差）。"
)
UNITS = "金额单位为人民币元；名称带%的为百分数；变化 = 本期 − 对比期，百分数的变化为百分点。"

WHOLE_PERIOD_BEFORE = "紧接在前的同类完整周期"
SAME_ELAPSED_DAYS = "上一周期开头的同样天数"

# by the source's column
MEASURES: dict[str, str] = {
    "table_fee": "台费",
    "assistant_fee": "助教费",
    "goods_fee": "商品",
    "other_fee": "其他费用",
    "discount": "优惠金额",
    "net_revenue": "净收入",
    "orders": "订单数",
    "guests": "客人数",
    "play_minutes": "消费时长（分钟）",
    "recharge_amount": "充值金额",
    "balance_spent": "余额消费",
    "recharge_count": "充值笔数",
    "new_members": "新会员数",
    "active_members": "活跃会员人次（各日之和）",
}

# by the figure's name
FIGURES: dict[str, str] = {
    **MEASURES,
    "gross": "费用合计",
    "discount_rate": "优惠率%",
    "net_per_order": "每单净收入",
    "net_per_guest": "人均净收入",
    "minutes_per_order": "每单时长（分钟）",
    "business_days": "营业天数",
    "net_per_business_day": "营业日均净收入",
    "amount_per_recharge": "每笔充值",
}

WEEKDAYS = "一二三四五六日"
