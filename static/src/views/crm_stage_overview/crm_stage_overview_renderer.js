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

const formatDays = (days) => formatFloat(days, { digits: [16, 1] });

const formatRevenue = (revenue) =>
    formatMonetary(revenue, { currencyId: user.activeCompany.currency_id, digits: [16, 0] });

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
            rows: this.getRows("entered", ({ name: stage, ...figures }, link) => {
                const movedOn = link(_t("Moved on from %(stage)s", { stage }), ["reached_next", "=", 100]);
                const isWon = ["won_status", "=", "won"];
                const won = link(_t("Entered %(stage)s, won in the end", { stage }), isWon);
                return {
                    bars: [{ ...link(_t("Entered %(stage)s", { stage })), value: figures.entered }],
                    cells: [
                        formatInteger(figures.entered),
                        formatRevenue(figures.revenue),
                        figures.is_won ? NONE : this.getShare(figures, "reached_next", movedOn),
                        this.getShare(figures, "won", won),
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
            rows: this.getRows("left", ({ name: stage, mean, median }, link) => ({
                bars: [{ ...link(_t("Left %(stage)s", { stage })), value: median }],
                mark: mean,
                cells: [formatDays(median), formatDays(mean)],
            })),
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
            rows: this.getRows("waiting", ({ name: stage, late, late_domain, usual, waiting }, link) => ({
                bars: [
                    {
                        ...link(
                            _t("Waiting in %(stage)s longer than usual", { stage }),
                            ...(late_domain || [])
                        ),
                        className: "o_crm_stage_bar_late bg-primary",
                        value: late || 0,
                    },
                    { ...link(_t("Waiting in %(stage)s", { stage })), value: waiting - (late || 0) },
                ],
                cells: [
                    formatInteger(waiting),
                    ...(late === false ? [NONE, NONE] : [formatInteger(late), formatDays(usual)]),
                ],
            })),
        };
    }

    /** Where opportunities were lost, and why. */
    get losses() {
        const legend = this.reasons;
        return {
            name: "losses",
            title: _t("Where opportunities are lost"),
            help: _t("By the stage they were lost in, and the reason."),
            emptyHelp: _t("Nothing was lost in this period."),
            legend,
            columns: [
                { name: "count", title: _t("Lost here") },
                { name: "revenue", title: _t("Expected revenue") },
            ],
            rows: this.getRows("lost", ({ name: stage, lost, lost_revenue, reasons }, link) => ({
                bars: legend.map(({ className, condition, ids, name: reason, style }) => {
                    const title = _t("Lost in %(stage)s: %(reason)s", { stage, reason });
                    const value = sum(
                        reasons.filter(({ id }) => ids.includes(id)),
                        "count"
                    );
                    return {
                        ...link(title, condition),
                        className,
                        label: `${title} (${value})`,
                        style,
                        value,
                    };
                }),
                cells: [formatInteger(lost), formatRevenue(lost_revenue)],
            })),
        };
    }

    /** Reasons of losses, the most frequent first, the rarest ones together. */
    get reasons() {
        const { domains, stages } = this.props.overview;
        const counts = new Map();
        for (const { id, name, count } of stages.flatMap(({ reasons }) => reasons)) {
            counts.set(id, { ids: [id], name, count: (counts.get(id)?.count || 0) + count });
        }
        const reasons = [...counts.values()].sort((a, b) => b.count - a.count);
        if (reasons.length > MAX_REASONS) {
            const others = reasons.splice(MAX_REASONS - 1);
            const ids = others.flatMap((other) => other.ids);
            reasons.push({ ids, name: _t("Other reasons"), count: sum(others, "count") });
        }
        return reasons.map((reason, index) => {
            const condition = ["lost_reason_id", "in", reason.ids];
            const color = getColor(index, cookie.get("color_scheme"), MAX_REASONS);
            return {
                ...reason,
                className: `o_crm_stage_pattern_${index}`,
                condition,
                domain: Domain.and([domains.lost, [condition]]).toList(),
                key: reason.ids.join(),
                style: `background-color: ${reason.ids.includes(false) ? "var(--secondary)" : color}`,
                title: _t("Lost: %(reason)s", { reason: reason.name }),
            };
        });
    }

    /**
     * @param {string} count name of the figure that counts what the picture shows, and of the domain of that
     * @param {(stage: Object, link: Function) => {bars: Object[], mark: ?number, cells: Array}} describe is
     *  given what makes a link to opportunities of the stage, of its title and conditions
     * @returns {Object[]} rows of the stages that it counts anything of, with widths beside the longest one
     */
    getRows(count, describe) {
        const { domains, stages } = this.props.overview;
        const rows = stages
            .filter((stage) => stage[count])
            .map((stage) => {
                const link = (title, ...conditions) => ({
                    domain: Domain.and([domains[count], stage.domain, conditions]).toList(),
                    title,
                });
                return { key: `${stage.id}/${stage.name}`, name: stage.name, ...describe(stage, link) };
            });
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

    /** A share of those that entered; one above 0 % opens the opportunities that it counts, by the link. */
    getShare(figures, name, link) {
        const percentage = figures[name];
        const basis = figures[`${name}_basis`];
        if (percentage === false) {
            return NONE;
        }
        let text = `${formatFloat(percentage, { digits: [16, 0] })}\u00a0%`; // as on the cards
        if (basis < this.props.overview.min_basis) {
            // A percentage says nothing of a few: those are counted.
            const number = formatInteger(Math.round((percentage * basis) / 100));
            text = _t("%(number)s of %(basis)s", { number, basis: formatInteger(basis) });
        }
        return percentage ? { ...link, text } : text;
    }

    /** Shows the opportunities that a bar, a share or a reason stands for. */
    async open({ domain, title }) {
        const action = await this.orm.call(this.props.resModel, "action_open_leads", [domain, title]);
        await this.action.doAction(action);
    }
}
