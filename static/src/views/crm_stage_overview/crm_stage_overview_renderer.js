import { Component } from "@odoo/owl";
import { getColor } from "@web/core/colors/colors";
import { cookie } from "@web/core/browser/cookie";
import { Domain } from "@web/core/domain";
import { _t } from "@web/core/l10n/translation";
import { user } from "@web/core/user";
import { useService } from "@web/core/utils/hooks";
import { formatFloat, formatInteger, formatMonetary } from "@web/views/fields/formatters";

const NONE = "–";

// As many as Odoo has colours that nobody mixes up; the other reasons, the rarest, are one together.
const MAX_REASONS = 6;

/** Width of a bar beside the longest one; a bar that stands for something can always be seen and clicked. */
const getWidth = (value, longest) => (value && longest ? Math.max((100 * value) / longest, 1) : 0);

const sum = (items) => items.reduce((total, { count }) => total + count, 0);

export class CrmStageOverviewRenderer extends Component {
    static template = "crm_sales_stage.OverviewRenderer";
    static props = { model: Object };

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
    }

    /** How many entered each stage, and what became of them. */
    get funnel() {
        const stages = this.props.model.stages.filter((stage) => stage.entered);
        const longest = Math.max(...stages.map((stage) => stage.entered));
        return stages.map((stage) => ({
            ...this.describe(stage),
            width: getWidth(stage.entered, longest),
            count: formatInteger(stage.entered),
            revenue: this.formatRevenue(stage.revenue),
            title: _t("Entered %(stage)s", { stage: stage.name }),
            domain: this.join("entered", stage.domain),
            shares: [
                this.describeShare(stage, {
                    name: "reached_next",
                    value: !stage.is_won && stage.reached_next,
                    basis: stage.reached_next_basis,
                    title: _t("Moved on from %(stage)s", { stage: stage.name }),
                    condition: ["reached_next", "=", 100],
                }),
                this.describeShare(stage, {
                    name: "won",
                    value: stage.won,
                    basis: stage.won_basis,
                    title: _t("Entered %(stage)s, won in the end", { stage: stage.name }),
                    condition: ["won_status", "=", "won"],
                }),
            ],
        }));
    }

    /** A share of those that entered; one above 0 % opens the opportunities that it tells of. */
    describeShare(stage, { name, value, basis, title, condition }) {
        return {
            name,
            title,
            text: value === false ? NONE : this.formatShare(value, basis),
            isLink: value > 0,
            domain: this.join("entered", [...stage.domain, condition]),
        };
    }

    /** How long opportunities stayed in each stage. */
    get days() {
        const stages = this.props.model.stages.filter((stage) => stage.left);
        const longest = Math.max(...stages.map((stage) => Math.max(stage.median, stage.mean)));
        return stages.map((stage) => ({
            ...this.describe(stage),
            width: getWidth(stage.median, longest),
            meanPosition: getWidth(stage.mean, longest),
            median: this.formatDays(stage.median),
            mean: this.formatDays(stage.mean),
            title: _t("Left %(stage)s", { stage: stage.name }),
            domain: this.join("left", stage.domain),
        }));
    }

    /** What waits in each stage now, and what waits there for longer than usual. */
    get waiting() {
        const stages = this.props.model.stages.filter((stage) => stage.waiting);
        const longest = Math.max(...stages.map((stage) => stage.waiting));
        return stages.map((stage) => ({
            ...this.describe(stage),
            bars: [
                {
                    name: "late",
                    count: stage.late || 0,
                    width: getWidth(stage.late, longest),
                    title: _t("Waiting in %(stage)s longer than usual", { stage: stage.name }),
                    domain: this.join("waiting", stage.late_domain || []),
                },
                {
                    name: "waiting",
                    count: stage.waiting,
                    width: getWidth(stage.waiting - (stage.late || 0), longest),
                    title: _t("Waiting in %(stage)s", { stage: stage.name }),
                    domain: this.join("waiting", stage.domain),
                },
            ].filter((bar) => bar.width),
            count: formatInteger(stage.waiting),
            late: stage.late === false ? NONE : formatInteger(stage.late),
            usual: stage.late === false ? NONE : this.formatDays(stage.usual),
        }));
    }

    /** Reasons of losses, the most frequent first, the rarest ones together. */
    get reasons() {
        const counts = new Map();
        for (const { id, name, count } of this.props.model.stages.flatMap((stage) => stage.reasons)) {
            counts.set(id, { ids: [id], name, count: (counts.get(id)?.count || 0) + count });
        }
        let reasons = [...counts.values()].sort((a, b) => b.count - a.count);
        if (reasons.length > MAX_REASONS) {
            const others = reasons.slice(MAX_REASONS - 1);
            reasons = [
                ...reasons.slice(0, MAX_REASONS - 1),
                {
                    ids: others.flatMap(({ ids }) => ids),
                    name: _t("Other reasons"),
                    count: sum(others),
                },
            ];
        }
        return reasons.map((reason, index) => ({
            ...reason,
            key: reason.ids.join(),
            pattern: index,
            color: reason.ids.includes(false)
                ? "var(--secondary)"
                : getColor(index, cookie.get("color_scheme"), MAX_REASONS),
            title: _t("Lost: %(reason)s", { reason: reason.name }),
            domain: this.join("lost", [["lost_reason_id", "in", reason.ids]]),
        }));
    }

    /** Where opportunities were lost, and why. */
    get losses() {
        const stages = this.props.model.stages.filter((stage) => stage.lost);
        const longest = Math.max(...stages.map((stage) => stage.lost));
        const reasons = this.reasons;
        return stages.map((stage) => ({
            ...this.describe(stage),
            count: formatInteger(stage.lost),
            revenue: this.formatRevenue(stage.lost_revenue),
            bars: reasons
                .map((reason) => {
                    const count = sum(stage.reasons.filter(({ id }) => reason.ids.includes(id)));
                    return {
                        ...reason,
                        count,
                        width: getWidth(count, longest),
                        title: _t("Lost in %(stage)s: %(reason)s", {
                            stage: stage.name,
                            reason: reason.name,
                        }),
                        domain: Domain.and([reason.domain, stage.domain]).toList(),
                    };
                })
                .filter((bar) => bar.width),
        }));
    }

    describe(stage) {
        return { key: `${stage.id}/${stage.name}`, name: stage.name };
    }

    /** Domain of the stays that a picture counts, of some stage. */
    join(picture, domain) {
        return Domain.and([this.props.model.domains[picture], domain]).toList();
    }

    /** A percentage says nothing of a few: those are counted. */
    formatShare(percentage, basis) {
        if (basis < this.props.model.min_basis) {
            return _t("%(number)s of %(basis)s", {
                number: formatInteger(Math.round((percentage * basis) / 100)),
                basis: formatInteger(basis),
            });
        }
        return `${formatFloat(percentage, { digits: [16, 0] })}\u00a0%`; // as on the cards
    }

    formatDays(days) {
        return formatFloat(days, { digits: [16, 1] });
    }

    formatRevenue(revenue) {
        return formatMonetary(revenue, {
            currencyId: user.activeCompany.currency_id,
            digits: [16, 0],
        });
    }

    /** Show the opportunities that a bar or a share stands for. */
    async open({ domain, title }) {
        const action = await this.orm.call(this.props.model.resModel, "action_open_leads", [domain, title]);
        await this.action.doAction(action);
    }
}
