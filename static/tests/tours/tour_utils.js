/** The pipeline as tours see it: its columns, its cards, and what is done with them. */

export const column = (name) => `.o_kanban_group:has(.o_column_title:contains('${name}'))`;

export const card = (name) => `.o_kanban_record.o_draggable:contains('${name}')`;

export const cardIn = (columnName, name) => `${column(columnName)} ${card(name)}`;

export const noDialog = { trigger: "body:not(:has(.modal))" };

export const click = (trigger) => ({ trigger, run: "click" });

/** Opens a screen by its address (of an action, say), and waits for it. */
export const open = (path, trigger) => [
    {
        content: `Open ${path}`,
        trigger: "body:not(:has(.o_loading_indicator)) .o_main_navbar",
        run() {
            window.location.href = `/odoo/${path}`;
        },
        expectUnloadPage: true,
    },
    { trigger },
];

/** Drags a card from its column to another one. */
export const dragCard = (name, from, to) => ({
    content: `Drag ${name} from ${from} to ${to}`,
    trigger: cardIn(from, name),
    run: `drag_and_drop (${column(to)})`,
});

/** Opens the menu behind the gear of a column, which a selector finds. */
export const openGearOf = (where) => ({
    content: `Open the gear of ${where}`,
    trigger: `${where} .o_kanban_header`,
    run: `hover && click ${where} .o_group_config .dropdown-toggle`,
});

/** Opens the menu behind the gear of the column of this name. */
export const openGear = (name) => openGearOf(column(name));

/** Searches the pipeline for a text. */
export const search = (text) => [
    { trigger: ".o_searchview_input", run: `edit ${text}` },
    { trigger: ".o_searchview_input", run: "press Enter" },
];

/** The columns have these names, in this order, and there are no others. */
export function expectColumns(...expected) {
    const shown = expected.map(
        (name, index) => `:has(.o_kanban_group:nth-of-type(${index + 1}) .o_column_title:contains('${name}'))`
    );
    return {
        content: `The columns are ${expected.join(", ")}`,
        trigger: `.o_kanban_renderer${shown.join("")}`,
        run() {
            const titles = [...document.querySelectorAll(".o_kanban_group .o_column_title span:first-child")].map(
                (title) => title.textContent.trim()
            );
            if (titles.join() !== expected.join()) {
                throw new Error(`The columns are ${titles.join()}`);
            }
        },
    };
}

/** The words of an element that are on more than one line. */
function findBrokenWords(element) {
    const broken = [];
    const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode;
        for (const { 0: word, index } of text.data.matchAll(/\S+/g)) {
            const range = document.createRange();
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
            if (lines.size > 1 && !word.includes("-")) {
                broken.push(word);
            }
        }
    }
    return broken;
}

/** These elements are as wide as what is in them, within the screen, and break no word. */
export const fits = (trigger) => ({
    content: `Read ${trigger}`,
    trigger,
    run({ queryAll }) {
        for (const element of queryAll(trigger)) {
            const broken = findBrokenWords(element);
            if (broken.length) {
                throw new Error(`${trigger} breaks ${broken.join()}`);
            }
            if (element.scrollWidth > element.clientWidth + 1) {
                throw new Error(`${trigger} is clipped: ${element.textContent}`);
            }
            if (element.getBoundingClientRect().right > window.innerWidth + 1) {
                throw new Error(`${trigger} is beyond the screen: ${element.textContent}`);
            }
        }
    },
});
