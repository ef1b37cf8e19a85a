import { Component } from "@odoo/owl";
import { getColor } from "@web/core/colors/colors";
import { cookie } from "@web/core/browser/cookie";
import { Domain } from "@web/core/domain";
import { _t } from "@web/core/l10n/translation";
import { user } from "@web/core/user";
import { useService } from "@web/core/utils/hooks";
import { formatFloat, formatInteger, formatMonetary } from "@web/views/fields/formatters";

const NONE = "–";

// Columns that have no room on a phone
const WIDE = "d-none d-sm-table-cell";

// As many as Odoo has colours that can be told apart; the other reasons, the rarest, are one together.
const MAX_REASONS = 6;

/** Width of a bar beside the longest one; a bar that stands for something can always be seen and clicked. */
const getWidth = (value, longest) => (value && longest ? Math.max((100 * value) / longest, 1) : 0);

const sum = (items, name) => items.reduce((total, item) => total + item[name], 0);

/** Four pictures of the stages, each a table: a stage a row, its bars, and its figures in columns. */
export class CrmStageOverviewRenderer extends Component {
    static template = "crm_sales_stage.OverviewRenderer";
    static props = { overview: Object, resModel: String };

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
    }

    get pictures() {
        return [this.funnel, this.days, this.waiting, this.losses];
    }

    /** How many entered each stage, and what became of them. */
    get funnel() {
        return {
            name: "funnel",
            title: _t("Funnel"),
            help: _t(
                "Opportunities that entered each stage, and what became of them. Moved on: of those that left or went on, the share that reached a later stage. Won in the end: of those won or lost by now."
            ),
            emptyHelp: _t("Nothing entered a stage in this period."),
            columns: [
                { name: "count", title: _t("Entered") },
                { name: "revenue", title: _t("Expected revenue"), className: WIDE },
                { name: "reached_next", title: _t("Moved on") },
                { name: "won", title: _t("Won in the end") },
            ],
            rows: this.getRows("entered", (stage) => {
                const link = this.getLink(
                    "entered",
                    stage.domain,
                    _t("Entered %(stage)s", { stage: stage.name })
                );
                const movedOn = _t("Moved on from %(stage)s", { stage: stage.name });
                const won = _t("Entered %(stage)s, won in the end", { stage: stage.name });
                return {
                    bars: [{ ...link, value: stage.entered }],
                    cells: [
                        formatInteger(stage.entered),
                        this.formatRevenue(stage.revenue),
                        stage.is_won
                            ? NONE
                            : this.getShare(stage, "reached_next", movedOn, ["reached_next", "=", 100]),
                        this.getShare(stage, "won", won, ["won_status", "=", "won"]),
                    ],
                };
            }),
        };
    }

    /** How long opportunities stayed in each stage. */
    get days() {
        return {
            name: "days",
            title: _t("Time in stage"),
            help: _t("Median days until opportunities left each stage; the line marks the mean."),
            emptyHelp: _t("Nothing left a stage in this period."),
            columns: [
                { name: "median", title: _t("Median (days)") },
                { name: "mean_days", title: _t("Mean (days)") },
            ],
            rows: this.getRows("left", (stage) => {
                const link = this.getLink("left", stage.domain, _t("Left %(stage)s", { stage: stage.name }));
                return {
                    bars: [{ ...link, value: stage.median }],
                    mark: stage.mean,
                    cells: [this.formatDays(stage.median), this.formatDays(stage.mean)],
                };
            }),
        };
    }

    /** What waits in each stage now, and what waits there for longer than usual. */
    get waiting() {
        return {
            name: "waiting",
            title: _t("Waiting now"),
            help: _t(
                "Open opportunities in each stage. The dark part waits for longer than usual: than three out of four stayed there."
            ),
            emptyHelp: _t("No open opportunity waits in a stage."),
            columns: [
                { name: "count", title: _t("Waiting") },
                { name: "late", title: _t("Longer than usual") },
                { name: "usual", title: _t("Usual (days)"), className: WIDE },
            ],
            rows: this.getRows("waiting", (stage) => {
                const hasUsual = stage.late !== false;
                const lateTitle = _t("Waiting in %(stage)s longer than usual", { stage: stage.name });
                const late = this.getLink("waiting", stage.late_domain || [], lateTitle);
                const title = _t("Waiting in %(stage)s", { stage: stage.name });
                const all = this.getLink("waiting", stage.domain, title);
                return {
                    bars: [
                        { ...late, className: "o_crm_stage_bar_late bg-primary", value: stage.late || 0 },
                        { ...all, value: stage.waiting - (stage.late || 0) },
                    ],
                    cells: [
                        formatInteger(stage.waiting),
                        hasUsual ? formatInteger(stage.late) : NONE,
                        hasUsual ? this.formatDays(stage.usual) : NONE,
                    ],
                };
            }),
        };
    }

    /** Where opportunities were lost, and why. */
    get losses() {
        const reasons = this.reasons;
        return {
            name: "losses",
            title: _t("Where opportunities are lost"),
            help: _t("By the stage they were lost in, and the reason."),
            emptyHelp: _t("Nothing was lost in this period."),
            legend: reasons,
            columns: [
                { name: "count", title: _t("Lost here") },
                { name: "revenue", title: _t("Expected revenue") },
            ],
            rows: this.getRows("lost", (stage) => ({
                bars: reasons.map(({ className, domain, ids, name, style }) => {
                    const value = sum(
                        stage.reasons.filter(({ id }) => ids.includes(id)),
                        "count"
                    );
                    const title = _t("Lost in %(stage)s: %(reason)s", { stage: stage.name, reason: name });
                    const label = `${title} (${value})`;
                    return { className, domain: this.join(domain, stage.domain), label, style, title, value };
                }),
                cells: [formatInteger(stage.lost), this.formatRevenue(stage.lost_revenue)],
            })),
        };
    }

    /** Reasons of losses, the most frequent first, the rarest ones together. */
    get reasons() {
        const counts = new Map();
        for (const { id, name, count } of this.props.overview.stages.flatMap((stage) => stage.reasons)) {
            counts.set(id, { ids: [id], name, count: (counts.get(id)?.count || 0) + count });
        }
        const reasons = [...counts.values()].sort((a, b) => b.count - a.count);
        if (reasons.length > MAX_REASONS) {
            const others = reasons.splice(MAX_REASONS - 1);
            const ids = others.flatMap((other) => other.ids);
            reasons.push({ ids, name: _t("Other reasons"), count: sum(others, "count") });
        }
        return reasons.map(({ count, ids, name }, index) => {
            const color = ids.includes(false)
                ? "var(--secondary)"
                : getColor(index, cookie.get("color_scheme"), MAX_REASONS);
            const title = _t("Lost: %(reason)s", { reason: name });
            return {
                ...this.getLink("lost", [["lost_reason_id", "in", ids]], title),
                count,
                ids,
                key: ids.join(),
                name,
                className: `o_crm_stage_pattern_${index}`,
                style: `background-color: ${color}`,
            };
        });
    }

    /**
     * @param {string} count name of the figure that counts what the picture shows
     * @param {(stage: Object) => {bars: Object[], mark: ?number, cells: Array}} describe
     * @returns {Object[]} rows of the stages that it counts anything of, with widths beside the longest one
     */
    getRows(count, describe) {
        const rows = this.props.overview.stages
            .filter((stage) => stage[count])
            .map((stage) => ({ key: `${stage.id}/${stage.name}`, name: stage.name, ...describe(stage) }));
        const longest = Math.max(...rows.map(({ bars, mark = 0 }) => Math.max(sum(bars, "value"), mark)));
        for (const row of rows) {
            row.markPosition = getWidth(row.mark, longest);
            const { bars } = row;
            row.bars = bars
                .map((bar, key) => ({ ...bar, key, width: getWidth(bar.value, longest) }))
                .filter(({ width }) => width || bars.length === 1);
        }
        return rows;
    }

    /**
     * @param {string} picture whose stays are counted
     * @param {Array} domain of some of them
     * @param {string} title of the list of their opportunities
     */
    getLink(picture, domain, title) {
        return { domain: this.join(this.props.overview.domains[picture], domain), title };
    }

    /** A share of those that entered; one above 0 % opens the opportunities that it counts. */
    getShare(stage, name, title, condition) {
        if (stage[name] === false) {
            return NONE;
        }
        const text = this.formatShare(stage[name], stage[`${name}_basis`]);
        const domain = [...stage.domain, condition];
        return stage[name] ? { ...this.getLink("entered", domain, title), text } : text;
    }

    join(...domains) {
        return Domain.and(domains).toList();
    }

    /** A percentage says nothing of a few: those are counted. */
    formatShare(percentage, basis) {
        if (basis < this.props.overview.min_basis) {
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

    /** Shows the opportunities that a bar, a share or a reason stands for. */
    async open({ domain, title }) {
        const action = await this.orm.call(this.props.resModel, "action_open_leads", [domain, title]);
        await this.action.doAction(action);
    }
}
