import { Component, useRef } from "@odoo/owl";
import { getColor } from "@web/core/colors/colors";
import { cookie } from "@web/core/browser/cookie";
import { Domain } from "@web/core/domain";
import { _t } from "@web/core/l10n/translation";
import { user } from "@web/core/user";
import { useService } from "@web/core/utils/hooks";
import { formatFloat, formatInteger, formatMonetary } from "@web/views/fields/formatters";
import { downloadPicture, downloadTable, getImage } from "../crm_stage_download/crm_stage_download";

const NONE = "–";

// Columns that have no room on a phone
const WIDE = "d-none d-sm-table-cell";

// As many as can be told apart; the other reasons, the rarest, are one together.
const MAX_REASONS = 6;

// Reasons look different beside each other: each goes by its id to a colour far from that of the one before,
// and to stripes of another direction. They begin anew after 60.
const COLORS = 12;
const NEXT_COLOR = 5;
const PATTERNS = 5;

/** Width of a bar beside the longest one; a bar that stands for something can always be seen and clicked. */
const getWidth = (value, longest) => (value && longest ? Math.max((100 * value) / longest, 1) : 0);

const formatDays = (days) => formatFloat(days, { digits: [16, 1] });

const formatRevenue = (revenue) =>
    formatMonetary(revenue, { currencyId: user.activeCompany.currency_id, digits: [16, 0] });

const formatPercentage = (value) => `${formatFloat(value, { digits: [16, 0] })}\u00a0%`; // as on the cards

const sum = (items, name) => items.reduce((total, item) => total + item[name], 0);

/** A figure as it is shown and exported; it opens what the link says, if any. */
const getCell = (value, format, link) =>
    value === false ? { text: NONE, value: "" } : { ...link, text: format(value), value };

/** Four pictures of the stages, each a table: a stage a row, its bars, and its figures in columns. */
export class CrmStageOverviewRenderer extends Component {
    static template = "crm_sales_stage.OverviewRenderer";
    static props = { overview: Object, resModel: String };

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
        this.root = useRef("root");
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
                "Opportunities that entered each stage in the period, and what became of them. Moved on: of those that left or went on, the share that reached a later stage. Won in the end: of those won or lost by now."
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
                const entered = link(_t("Entered %(stage)s", { stage }));
                return {
                    bars: [{ ...entered, value: figures.entered }],
                    cells: [
                        getCell(figures.entered, formatInteger, entered),
                        getCell(figures.revenue, formatRevenue, entered),
                        figures.is_won ? getCell(false) : this.getShare(figures, "reached_next", movedOn),
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
            help: _t(
                "Median days in each stage of the opportunities that left it in the period; the line marks the mean."
            ),
            emptyHelp: _t("Nothing left a stage in this period."),
            columns: [
                { name: "median", title: _t("Median (days)") },
                { name: "mean_days", title: _t("Mean (days)") },
            ],
            rows: this.getRows("left", ({ left, mean, median, name: stage }, link) => {
                const title = _t("Left %(stage)s", { stage });
                const stays = { ...link(title), label: `${title} (${formatInteger(left)})` };
                return {
                    bars: [{ ...stays, value: median }],
                    mark: mean,
                    cells: [getCell(median, formatDays, stays), getCell(mean, formatDays, stays)],
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
                "Open opportunities in each stage. The dark part waits for longer than usual: three out of four moved on within these days."
            ),
            emptyHelp: _t("No open opportunity waits in a stage."),
            columns: [
                { name: "count", title: _t("Waiting") },
                { name: "late", title: _t("Longer than usual") },
                { name: "usual", title: _t("Usual (days)"), className: WIDE },
            ],
            rows: this.getRows("waiting", ({ late, late_domain, usual, waiting, ...figures }, link) => {
                const stage = figures.name;
                const title = _t("Waiting in %(stage)s longer than usual", { stage });
                const lateLink = late ? link(title, ...late_domain) : {};
                const all = link(_t("Waiting in %(stage)s", { stage }));
                const movedOn = this.getLink(
                    "left",
                    figures,
                    _t("Moved on from %(stage)s", { stage }),
                    ["outcome", "=", "moved"],
                    ["is_moved_on", "=", true]
                );
                return {
                    bars: [
                        { ...lateLink, className: "o_crm_stage_bar_late bg-primary", value: late || 0 },
                        { ...all, value: waiting - (late || 0) },
                    ],
                    cells: [
                        getCell(waiting, formatInteger, all),
                        getCell(late, formatInteger, lateLink),
                        getCell(usual, formatInteger, movedOn),
                    ],
                };
            }),
        };
    }

    /** Where opportunities were lost, and why. */
    get losses() {
        const legend = this.reasons;
        return {
            name: "losses",
            title: _t("Where opportunities are lost"),
            help: _t("Opportunities lost in the period, by the stage they were lost in, and the reason."),
            emptyHelp: _t("Nothing was lost in this period."),
            legend,
            columns: [
                { name: "count", title: _t("Lost here") },
                { name: "revenue", title: _t("Expected revenue") },
            ],
            rows: this.getRows("lost", ({ name: stage, lost, lost_revenue, reasons }, link) => {
                const all = link(_t("Lost in %(stage)s", { stage }));
                const bars = legend.map(({ className, condition, ids, name: reason, style }) => {
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
                });
                const cells = [getCell(lost, formatInteger, all), getCell(lost_revenue, formatRevenue, all)];
                return { bars, cells };
            }),
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
            reasons.push({
                ids,
                name: _t("Other reasons"),
                count: sum(others, "count"),
                color: "var(--light)",
            });
        }
        return reasons.map((reason) => {
            const condition = ["lost_reason_id", "in", reason.ids];
            const number = reason.color ? 0 : reason.ids[0];
            const color = number && getColor(number * NEXT_COLOR, cookie.get("color_scheme"), COLORS);
            return {
                ...reason,
                className: `o_crm_stage_pattern_${number % PATTERNS}`,
                condition,
                domain: Domain.and([domains.lost, [condition]]).toList(),
                key: reason.ids.join(),
                style: `background-color: ${reason.color || color || "var(--secondary)"}`,
                title: _t("Lost: %(reason)s", { reason: reason.name }),
            };
        });
    }

    /**
     * @param {string} count name of a domain
     * @param {Object} stage
     * @param {string} title
     * @param {...Array} conditions
     * @returns {Object} what opens the opportunities of a stage, or their stays, which may be several each
     */
    getLink(count, stage, title, ...conditions) {
        const domain = Domain.and([this.props.overview.domains[count], stage.domain, conditions]).toList();
        return { domain, isStays: count === "left", title };
    }

    /**
     * @param {string} count name of the figure that counts what the picture shows, and of the domain of that
     * @param {(stage: Object, link: Function) => {bars: Object[], mark: ?number, cells: Object[]}} describe is
     *  given what makes a link to opportunities of the stage, of its title and conditions
     * @returns {Object[]} rows of the stages that it counts anything of, with widths beside the longest one
     */
    getRows(count, describe) {
        const rows = this.props.overview.stages
            .filter((stage) => stage[count] && (count !== "left" || stage.median !== false))
            .map((stage) => ({
                key: `${stage.id}/${stage.name}`,
                name: stage.name,
                ...describe(stage, this.getLink.bind(this, count, stage)),
            }));
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

    /** A share of those that entered, and of how many; one above 0 % opens the opportunities that it counts. */
    getShare(figures, name, link) {
        const percentage = figures[name];
        const basis = figures[`${name}_basis`];
        const count = _t("%(number)s of %(basis)s", {
            number: formatInteger(Math.round((percentage * basis) / 100)),
            basis: formatInteger(basis),
        });
        const shown = { ...(percentage ? link : {}), label: `${link.title} (${count})` };
        // A percentage says nothing of a few: those are counted.
        const isFew = basis < this.props.overview.min_basis;
        return getCell(percentage, isFew ? () => count : formatPercentage, shown);
    }

    /** Shows what a bar, a figure or a reason stands for. */
    async open({ domain, isStays, title }) {
        const { resModel } = this.props;
        const list = { type: "ir.actions.act_window", res_model: resModel, views: [[false, "list"]] };
        const action = isStays
            ? { ...list, domain, name: title }
            : await this.orm.call(resModel, "action_open_leads", [domain, title]);
        await this.action.doAction(action);
    }

    async downloadPicture() {
        return downloadPicture(await getImage(this.root.el), _t("Stages Analysis"));
    }

    downloadTable() {
        const { pictures, props } = this;
        const columns = pictures.flatMap(({ columns }) => columns);
        const rows = props.overview.stages.map(({ id, name }) => [
            name,
            ...pictures.flatMap(({ columns, rows }) => {
                const row = rows.find(({ key }) => key === `${id}/${name}`);
                return columns.map((_column, index) => (row ? row.cells[index].value : ""));
            }),
        ]);
        const groups = pictures.map(({ columns, title }) => [title, columns.length]);
        const titles = columns.map(({ title }) => title);
        return downloadTable(props.resModel, _t("Stages Analysis"), groups, titles, rows);
    }
}
