/*
 * render.ts - the tree of markup.ts as elements
 */
import { add, h } from "./dom";
import type { Block, Inline } from "./markup";

/** What stands for a citation mark; null leaves it as written. */
export type MarkMaker = (number: number) => Node | null;

function inline(node: Inline, mark: MarkMaker): Node {
    switch (node.kind) {
        case "text":
            return document.createTextNode(node.text);
        case "break":
            return h("br");
        case "bold":
            return h("strong", {}, ...node.children.map((c) => inline(c, mark)));
        case "italic":
            return h("em", {}, ...node.children.map((c) => inline(c, mark)));
        case "code":
            return h("code", { dir: "ltr" }, node.text);
        case "link":
            return h(
                "a",
                { href: node.href, target: "_blank", rel: "noopener noreferrer nofollow ugc" },
                ...node.children.map((c) => inline(c, mark)),
            );
        case "mark":
            return mark(node.number) ?? document.createTextNode(`[${node.number}]`);
    }
}

function block(node: Block, mark: MarkMaker): Node {
    switch (node.kind) {
        case "paragraph":
            return h("p", { dir: "auto" }, ...node.children.map((c) => inline(c, mark)));
        case "heading":
            return h("p", { dir: "auto", class: "heading" }, ...node.children.map((c) => inline(c, mark)));
        case "code":
            return h("pre", { dir: "ltr", tabindex: 0 }, h("code", {}, node.text));
        case "list":
            return h(
                node.isOrdered ? "ol" : "ul",
                { dir: "auto", start: node.isOrdered && node.start !== 1 ? node.start : null },
                ...node.items.map((item) => h("li", { dir: "auto" }, ...item.map((c) => inline(c, mark)))),
            );
        case "table":
            return h(
                "div",
                { class: "scroll", tabindex: 0 },
                h("table", { dir: "auto" }, ...node.rows.map((row, i) => tableRow(row, i === 0 ? "th" : "td", mark))),
            );
    }
}

function tableRow(cells: Inline[][], tag: "th" | "td", mark: MarkMaker): Node {
    const element = (cell: Inline[]): HTMLElement => {
        const made = h(tag, { dir: "auto" }, ...cell.map((c) => inline(c, mark)));

        if (made.textContent!.length < 16) made.className = "short";
        return made;
    };

    return h("tr", {}, ...cells.map(element));
}

export function renderBlocks(into: Element, blocks: Block[], mark: MarkMaker): void {
    add(into, ...blocks.map((b) => block(b, mark)));
}
