/*
 * markup.ts - the light markup of answers, to a tree: paragraphs, headings, lists, code, bold, italics, links,
 * citation marks
 *
 * What it does not know stays as it was written. Pure; the tree holds text only, so that whoever shows it cannot
 * be made to show markup of the page.
 */
export type Inline =
    | { kind: "text"; text: string }
    | { kind: "bold" | "italic"; children: Inline[] }
    | { kind: "code"; text: string }
    | { kind: "link"; href: string; children: Inline[] }
    | { kind: "mark"; number: number }
    | { kind: "break" };

export type Block =
    | { kind: "paragraph" | "heading"; children: Inline[] }
    | { kind: "code"; text: string }
    | { kind: "list"; isOrdered: boolean; start: number; items: Inline[][] }
    | { kind: "table"; rows: Inline[][][] };

/* Each span is bounded: a page of stars must not take a second. No look-behind: older Safari refuses the script. */
const SPANS = [
    "`([^`\\n]{1,500})`" /* 1 code */,
    "\\*\\*(?=\\S)([^\\n]{1,1000}?)\\*\\*" /* 2 bold */,
    "\\*(?=[^\\s*])([^*\\n]{1,500}?)\\*" /* 3 italic */,
    "\\[(\\d{1,3})\\](?!\\()" /* 4 citation mark */,
    "\\[([^\\[\\]\\n]{1,300})\\]\\(([^()\\s]{1,2000})\\)" /* 5, 6 link */,
    "(https?:\\/\\/[^\\s<>\"`]{1,2000})" /* 7 address */,
    "([\\w.+-]{1,64}@[\\w-]{1,63}(?:\\.[\\w-]{1,63}){1,8})" /* 8 mail address */,
].join("|");

/** The address, when it is one that a visitor may safely follow. */
export function safeHref(href: string): string | undefined {
    try {
        const url = new URL(href);

        return url.protocol === "https:" || url.protocol === "http:" || url.protocol === "mailto:" ? url.href : undefined;
    } catch {
        return undefined;
    }
}

function pushText(out: Inline[], text: string): void {
    text.split("\n").forEach((line, i) => {
        if (i > 0) out.push({ kind: "break" });
        if (line !== "") out.push({ kind: "text", text: line });
    });
}

function pushLink(out: Inline[], whole: string, href: string, label: string, depth: number): void {
    const safe = safeHref(href);

    if (safe === undefined) pushText(out, whole);
    else out.push({ kind: "link", href: safe, children: depth > 2 ? [{ kind: "text", text: label }] : parseInline(label, depth + 1, false) });
}

/** A full stop or bracket after an address belongs to the sentence. */
function trimAddress(address: string): string {
    let end = address.length;

    for (; end > 0; end--) {
        const c = address[end - 1]!;

        if (c === ")" && address.slice(0, end).includes("(")) break;
        if (!".,;:!?)]}'\"*»”’…、。".includes(c)) break;
    }
    return address.slice(0, end);
}

export function parseInline(text: string, depth = 0, withLinks = true): Inline[] {
    const out: Inline[] = [];
    const spans = new RegExp(SPANS, "g");
    let done = 0;

    for (let m = spans.exec(text); m !== null; m = spans.exec(text)) {
        const [whole, code, bold, italic, mark, label, href, address, mail] = m;
        let taken = whole;

        /* 2*3*4 is a product. */
        if (italic !== undefined && (/\w$/.test(text.slice(done, m.index)) || /\s$/.test(italic))) {
            spans.lastIndex = m.index + 1;
            continue;
        }
        if (!withLinks && (address ?? mail ?? href ?? mark) !== undefined) continue;
        pushText(out, text.slice(done, m.index));
        if (code !== undefined) out.push({ kind: "code", text: code });
        else if (bold !== undefined) out.push({ kind: "bold", children: nested(bold, depth, withLinks) });
        else if (italic !== undefined) out.push({ kind: "italic", children: nested(italic, depth, withLinks) });
        else if (mark !== undefined) out.push({ kind: "mark", number: Number(mark) });
        else if (label !== undefined) pushLink(out, whole, href!, label, depth);
        else if (address !== undefined) {
            taken = trimAddress(address);
            out.push({ kind: "link", href: safeHref(taken) ?? taken, children: [{ kind: "text", text: taken }] });
        } else {
            taken = trimAddress(mail!);
            pushLink(out, taken, `mailto:${taken}`, taken, 9);
        }
        done = m.index + taken.length;
        spans.lastIndex = done;
    }
    pushText(out, text.slice(done));
    return out;
}

function nested(text: string, depth: number, withLinks: boolean): Inline[] {
    return depth > 2 ? [{ kind: "text", text }] : parseInline(text, depth + 1, withLinks);
}

const ITEM = /^ {0,6}(?:[-*\u2022\u2013]|(\d{1,3})[.)])\s+(.*)$/;
const HEADING = /^#{1,6}\s+(.*?)\s*#*$/;
const FENCE = /^\s*```/;

export function parseMarkup(text: string): Block[] {
    const lines = text.replace(/\r\n?/g, "\n").split("\n");
    const blocks: Block[] = [];
    let paragraph: string[] = [];
    const endParagraph = (): void => {
        if (paragraph.length > 0) blocks.push({ kind: "paragraph", children: parseInline(paragraph.join("\n")) });
        paragraph = [];
    };

    for (let i = 0; i < lines.length; i++) {
        const line = lines[i]!;
        const item = ITEM.exec(line);
        const heading = HEADING.exec(line);

        if (FENCE.test(line)) {
            const code: string[] = [];

            endParagraph();
            for (i++; i < lines.length && !FENCE.test(lines[i]!); i++) code.push(lines[i]!);
            blocks.push({ kind: "code", text: code.join("\n") });
        } else if (item !== null) {
            endParagraph();
            i = takeList(lines, i, blocks);
        } else if (isTable(lines, i)) {
            endParagraph();
            i = takeTable(lines, i, blocks);
        } else if (heading !== null) {
            endParagraph();
            blocks.push({ kind: "heading", children: parseInline(heading[1]!) });
        } else if (line.trim() === "") endParagraph();
        else paragraph.push(line.trim());
    }
    endParagraph();
    return blocks;
}

/** Items of one kind from line i on; the index of the last line taken. */
function takeList(lines: string[], first: number, blocks: Block[]): number {
    const isOrdered = ITEM.exec(lines[first]!)![1] !== undefined;
    const items: string[] = [];
    let i = first;

    for (; i < lines.length; i++) {
        const line = lines[i]!;
        const item = ITEM.exec(line);

        if (item !== null && (item[1] !== undefined) === isOrdered) items.push(item[2]!);
        else if (item === null && /^\s+\S/.test(line)) items[items.length - 1] += `\n${line.trim()}`;
        else if (line.trim() !== "" || !isItemOf(lines[i + 1], isOrdered)) break;
    }
    blocks.push({
        kind: "list",
        isOrdered,
        start: Number(ITEM.exec(lines[first]!)![1] ?? 1),
        items: items.map((item) => parseInline(item)),
    });
    return i - 1;
}

function cellsOf(line: string | undefined): string[] {
    const cells = (line ?? "").trim().replace(/^\||\|$/g, "").split("|");

    return cells.length < 2 || cells.length > 20 ? [] : cells.map((cell) => cell.trim());
}

/* Two lines of as many cells: a single "a | b" is a sentence. */
function isTable(lines: string[], i: number): boolean {
    const cells = cellsOf(lines[i]);

    return cells.length > 0 && cells.length === cellsOf(lines[i + 1]).length;
}

/** Rows of as many cells as the first, from line i on; the index of the last line taken. */
function takeTable(lines: string[], first: number, blocks: Block[]): number {
    const { length } = cellsOf(lines[first]);
    const rows: Inline[][][] = [];
    let i = first;

    for (; i < lines.length; i++) {
        const cells = cellsOf(lines[i]);

        if (cells.length !== length) break;
        if (!cells.every((cell) => /^:?-+:?$/.test(cell))) rows.push(cells.map((cell) => parseInline(cell)));
    }
    blocks.push({ kind: "table", rows });
    return i - 1;
}

/* An empty line inside a list is not its end. */
function isItemOf(line: string | undefined, isOrdered: boolean): boolean {
    const item = line === undefined ? null : ITEM.exec(line);

    return item !== null && (item[1] !== undefined) === isOrdered;
}

/** What a person wrote: as written, with addresses to follow. */
export function parsePlain(text: string): Block[] {
    const children: Inline[] = [];
    const addresses = /https?:\/\/[^\s<>"`]{1,2000}/g;
    let done = 0;

    for (let m = addresses.exec(text); m !== null; m = addresses.exec(text)) {
        const address = trimAddress(m[0]);

        pushText(children, text.slice(done, m.index));
        pushLink(children, address, address, address, 9);
        done = m.index + address.length;
    }
    pushText(children, text.slice(done));
    return [{ kind: "paragraph", children }];
}
