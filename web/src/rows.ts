/*
 * rows.ts - the list of messages on the screen: one row a message, kept in step with the thread
 *
 * A row has a key that outlives the change from "being sent" to "kept" and from "being written" to "answered",
 * and a signature of all that shows; only rows whose signature changed are built again.
 */
import { add, empty, h, icon } from "./dom";
import { filesOf, followFresh } from "./files";
import type { Linker } from "./files";
import { parseMarkup, parsePlain } from "./markup";
import type { Citation, Message } from "./protocol";
import { renderBlocks } from "./render";
import { fill, shorten } from "./strings";
import type { Strings } from "./strings";
import type { Pending, Thread } from "./thread";
import type { Tip } from "./tip";

/* Messages of one side that come within this stand together, with one time. */
const GROUP_MS = 5 * 60_000;

export interface RowContext {
    strings: Strings;
    locale: string;
    greeting: string;
    isSlow: boolean;
    tip: Tip;
    retry(clientId: string): void;
    discard(clientId: string): void;
    link: Linker;
    /** Of a source of an answer. */
    sourceLink: Linker;
}

interface Row {
    key: string;
    signature: string;
    className: string;
    build(row: HTMLElement): void;
}

export class RowList {
    private readonly shown = new Map<string, { element: HTMLElement; signature: string }>();

    constructor(private readonly list: HTMLElement) {}

    update(thread: Thread, context: RowContext): void {
        const rows = rowsOf(thread, context);
        const keys = new Set(rows.map((r) => r.key));
        let place: ChildNode | null = this.list.firstChild;

        for (const [key, { element }] of this.shown)
            if (!keys.has(key)) {
                if (place === element) place = element.nextSibling;
                element.remove();
                this.shown.delete(key);
            }
        for (const row of rows) {
            const element = this.ensure(row);

            if (element === place) place = element.nextSibling;
            else this.list.insertBefore(element, place);
        }
    }

    private ensure(row: Row): HTMLElement {
        let known = this.shown.get(row.key);

        if (known === undefined) {
            known = { element: h("li"), signature: "" };
            this.shown.set(row.key, known);
        }
        if (known.element.className !== row.className) known.element.className = row.className;
        if (known.signature !== row.signature) {
            known.signature = row.signature;
            empty(known.element);
            row.build(known.element);
        }
        return known.element;
    }
}

function rowsOf(thread: Thread, context: RowContext): Row[] {
    const { messages, pending, streaming } = thread;
    const rows: Row[] = [];
    let day = "";

    if ((messages[0]?.seq ?? 1) === 1) rows.push(greetingRow(context));
    messages.forEach((message, i) => {
        const next = messages[i + 1];
        const thisDay = new Date(message.createdAt).toDateString();

        if (thisDay !== day && (day !== "" || thisDay !== new Date().toDateString())) rows.push(dayRow(message, context));
        day = thisDay;
        rows.push(messageRow(message, next === undefined || !isGroup(message, next), context));
    });
    if (streaming !== null) rows.push(streamingRow(streaming.answersTo, streaming.text, context));
    else if (thread.isAwaitingAnswer()) rows.push(typingRow(context));
    for (const item of pending) rows.push(pendingRow(item, context));
    return rows;
}

function isGroup(a: Message, b: Message): boolean {
    return a.role === b.role && Date.parse(b.createdAt) - Date.parse(a.createdAt) < GROUP_MS;
}

function greetingRow(context: RowContext): Row {
    return {
        key: "greeting",
        signature: context.greeting,
        className: "row other last",
        build(row) {
            const bubble = h("div", { class: "bubble" });

            renderBlocks(bubble, parseMarkup(context.greeting), () => null);
            add(row, h("span", { class: "hidden" }, `${context.strings.assistant}: `), bubble);
        },
    };
}

function dayRow(message: Message, { strings, locale }: RowContext): Row {
    const date = new Date(message.createdAt);
    const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
    const label =
        days === 0
            ? strings.today
            : days === 1
              ? strings.yesterday
              : new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", ...(days > 300 && { year: "numeric" }) }).format(date);

    return {
        key: `day:${date.toDateString()}`,
        signature: label,
        className: "day",
        build: (row) => add(row, h("span", {}, label)),
    };
}

function messageRow(message: Message, isLast: boolean, context: RowContext): Row {
    const isOwn = message.role === "user";
    const key = isOwn && message.clientId !== "" ? `c:${message.clientId}` : message.answersTo > 0 ? `a:${message.answersTo}` : message.id;

    return {
        key,
        signature: `${message.id} ${isLast} ${message.citations.length}`,
        className: `row ${isOwn ? "own" : "other"} ${message.role}${isLast ? " last" : ""}`,
        build(row) {
            const { strings } = context;
            const bubble = h("div", { class: "bubble" });
            const sources = new Sources(message, context);

            if (message.role === "agent")
                add(row, h("div", { class: "author" }, icon("person"), strings.person, h("span", { class: "hidden" }, ": ")));
            else add(row, h("span", { class: "hidden" }, `${isOwn ? strings.you : strings.assistant}: `));
            renderBlocks(bubble, isOwn ? parsePlain(message.text) : parseMarkup(message.text), (n) => sources.mark(n));
            add(row, bubble, filesOf(message, context.link, strings, context.locale), sources.element, isLast && timeOf(message, context));
        },
    };
}

function timeOf(message: Message, { locale }: RowContext): HTMLElement | null {
    const date = new Date(message.createdAt);

    return Number.isNaN(date.getTime())
        ? null
        : h("time", { class: "meta", datetime: message.createdAt }, new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(date));
}

function streamingRow(answersTo: number, text: string, context: RowContext): Row {
    return {
        key: `a:${answersTo}`,
        signature: `streaming ${text.length}`,
        className: "row other assistant last streaming",
        build(row) {
            const bubble = h("div", { class: "bubble" });
            const caret = h("span", { class: "caret", "aria-hidden": "true" });

            /* Marks become buttons when the whole answer names its sources. */
            renderBlocks(bubble, parseMarkup(text), (n) => h("span", { class: "mark" }, String(n)));
            let last: Element = bubble;

            while (last.lastElementChild !== null && /^(P|UL|OL|LI|PRE)$/.test(last.lastElementChild.tagName)) last = last.lastElementChild;
            add(last, caret);
            add(row, h("span", { class: "hidden" }, `${context.strings.assistant}: `), bubble);
        },
    };
}

function typingRow({ strings, isSlow }: RowContext): Row {
    return {
        key: "typing",
        signature: String(isSlow),
        className: "row other last typing",
        build: (row) =>
            add(
                row,
                h("div", { class: "bubble" }, h("span", { class: "hidden" }, strings.typing), ...[0, 1, 2].map(() => h("i", { "aria-hidden": "true" }))),
                isSlow && h("div", { class: "meta" }, strings.slow),
            ),
    };
}

function pendingRow(item: Pending, { strings, retry, discard }: RowContext): Row {
    const isStuck = item.state === "retrying" || item.state === "refused";

    return {
        key: `c:${item.clientId}`,
        signature: item.state + item.reason,
        className: `row own user last pending ${item.state}`,
        build(row) {
            const bubble = h("div", { class: "bubble" });

            renderBlocks(bubble, parsePlain(item.text), () => null);
            add(row, h("span", { class: "hidden" }, `${strings.you}: `), bubble);
            if (!isStuck) return;
            const why = item.state === "refused" ? strings.refused + (item.reason && ` (${item.reason})`) : strings.notSent;

            add(
                row,
                h(
                    "div",
                    { class: "meta failure" },
                    icon("alert"),
                    h("span", {}, why),
                    h("button", { type: "button", class: "link", onclick: () => retry(item.clientId) }, strings.retry),
                    item.state === "refused" && h("button", { type: "button", class: "link", onclick: () => discard(item.clientId) }, strings.discard),
                ),
            );
        },
    };
}

/* --- sources --- */

let nextId = 0;

/** The list below an answer, and the marks inside it that lead there. */
class Sources {
    readonly element: HTMLElement | null;
    private readonly buttons = new Map<number, HTMLButtonElement>();
    private readonly citations: Citation[];
    private readonly message: string;

    constructor(
        message: Message,
        private readonly context: RowContext,
    ) {
        this.message = message.id;
        this.citations = message.citations;
        this.element =
            this.citations.length === 0
                ? null
                : h(
                      "div",
                      { class: "sources" },
                      h("span", { class: "sources-title" }, context.strings.sources),
                      h("ul", {}, ...this.citations.map((c) => this.entry(c))),
                  );
    }

    mark(number: number): Node | null {
        const citation = this.citations.find((c) => c.number === number);

        if (citation === undefined) return null;
        const label = `${fill(this.context.strings.source, { n: number })}: ${titleOf(citation)}`;
        const mark = h("button", { type: "button", class: "mark", "aria-label": label, onclick: () => this.reveal(number) }, String(number));

        this.context.tip.attach(mark, titleOf(citation), citation.quote);
        return mark;
    }

    private entry(citation: Citation): HTMLElement {
        const id = `q${nextId++}`;
        const quote = h("blockquote", { id, dir: "auto", hidden: true });
        const button = h(
            "button",
            { type: "button", class: "source", "aria-expanded": "false", "aria-controls": id, onclick: () => this.toggle(citation.number) },
            h("span", { class: "number" }, String(citation.number)),
            h("span", { class: "title", dir: "auto" }, titleOf(citation)),
            icon("down"),
        );

        renderBlocks(quote, parseMarkup(shorten(citation.quote, 800)), () => null);
        add(quote, this.opener(citation));
        this.buttons.set(citation.number, button);
        return h("li", {}, button, quote);
    }

    /** Opens the document where the words stand. */
    private opener(citation: Citation): HTMLElement {
        const anchor = h("a", { class: "open", target: "_blank", rel: "noopener noreferrer" }, this.context.strings.openSource);

        followFresh(anchor, () => this.context.sourceLink(this.message, citation.number));
        return anchor;
    }

    private toggle(number: number, open?: boolean): void {
        const button = this.buttons.get(number)!;
        const quote = button.nextElementSibling as HTMLElement;
        const isOpen = open ?? button.getAttribute("aria-expanded") !== "true";

        button.setAttribute("aria-expanded", String(isOpen));
        quote.hidden = !isOpen;
        if (isOpen) button.parentElement!.scrollIntoView({ block: "nearest" });
    }

    private reveal(number: number): void {
        this.context.tip.hide();
        this.toggle(number, true);
        this.buttons.get(number)!.focus();
    }
}

function titleOf(citation: Citation): string {
    const parts = [citation.title, ...citation.headingPath.split(" > ")].filter((part, i, all) => part !== "" && part !== all[i - 1]);

    return [...parts, ...(citation.page > 0 ? [`p. ${citation.page}`] : [])].join(" › ");
}
