import { describe, expect, it } from "vitest";
import { parseInline, parseMarkup, parsePlain, safeHref } from "./markup";
import type { Block, Inline } from "./markup";

/** A short form that a person can read in a table. */
function flat(nodes: Inline[]): string {
    return nodes
        .map((n) => {
            switch (n.kind) {
                case "text":
                    return n.text;
                case "break":
                    return "⏎";
                case "code":
                    return `<c>${n.text}</c>`;
                case "mark":
                    return `<${n.number}>`;
                case "link":
                    return `<a ${n.href}>${flat(n.children)}</a>`;
                default:
                    return `<${n.kind[0]}>${flat(n.children)}</${n.kind[0]}>`;
            }
        })
        .join("");
}

function outline(blocks: Block[]): string[] {
    return blocks.map((b) => {
        switch (b.kind) {
            case "code":
                return `code ${b.text}`;
            case "list":
                return `${b.isOrdered ? `ol${b.start}` : "ul"} ${b.items.map(flat).join(" | ")}`;
            case "table":
                return `table ${b.rows.map((r) => r.map(flat).join(" | ")).join(" / ")}`;
            default:
                return `${b.kind[0]} ${flat(b.children)}`;
        }
    });
}

describe("inline", () => {
    it.each([
        ["plain", "plain"],
        ["a **bold *and* more** b", "a <b>bold <i>and</i> more</b> b"],
        ["**not closed", "**not closed"],
        ["2*3*4 = 24", "2*3*4 = 24"],
        ["* a * b", "* a * b"],
        ["`**code**`", "<c>**code**</c>"],
        ["so [1][2], or [12].", "so <1><2>, or <12>."],
        ["array[1234]", "array[1234]"],
        ["[text](https://a.example/x)", "<a https://a.example/x>text</a>"],
        ["[1](https://a.example/x)", "<a https://a.example/x>1</a>"],
        ["[x](javascript:alert)", "[x](javascript:alert)"],
        ["[x](data:text/html,hi)", "[x](data:text/html,hi)"],
        ["see https://a.example/x?a=1&b=2.", "see <a https://a.example/x?a=1&b=2>https://a.example/x?a=1&b=2</a>."],
        ["(https://a.example/x)", "(<a https://a.example/x>https://a.example/x</a>)"],
        ["https://a.example/x_(y)", "<a https://a.example/x_(y)>https://a.example/x_(y)</a>"],
        ["write to a.b@c.example.", "write to <a mailto:a.b@c.example>a.b@c.example</a>."],
        ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
        ["one\ntwo", "one⏎two"],
    ])("%s", (text, want) => {
        expect(flat(parseInline(text))).toBe(want);
    });
});

describe("blocks", () => {
    it.each<[string, string[]]>([
        ["one\ntwo\n\nthree", ["p one⏎two", "p three"]],
        ["Before:\n- a\n- b\nafter", ["p Before:", "ul a | b", "p after"]],
        ["1. a\n2. b\n\n3. c", ["ol1 a | b | c"]],
        ["3) a\n4) b", ["ol3 a | b"]],
        ["- a\n  goes on\n- b", ["ul a⏎goes on | b"]],
        ["- a\n1. b", ["ul a", "ol1 b"]],
        ["# Title #\ntext", ["h Title", "p text"]],
        ["```js\n**x**\n```\nend", ["code **x**", "p end"]],
        ["```\nnever closed", ["code never closed"]],
        ["| a | b |\n|---|:-:|\n| 1 | **2** |", ["table a | b / 1 | <b>2</b>"]],
        ["a | b\nc | d\nend", ["table a | b / c | d", "p end"]],
        ["this | that", ["p this | that"]],
        ["2026. A year", ["p 2026. A year"]],
        ["a\r\nb\rc", ["p a⏎b⏎c"]],
        ["", []],
    ])("%j", (text, want) => {
        expect(outline(parseMarkup(text))).toEqual(want);
    });

    it("loses no word, whatever is written", () => {
        const pieces = ["word", "**", "*", "`", "```", "[1]", "[", "](", ")", "\n", "\n\n", "- ", "1. ", "# ", "|", " ", "https://a.example/", "a@b.example"];
        let seed = 7;

        for (let i = 0; i < 3000; i++) {
            let text = "";

            for (let n = 0; n < 14; n++) {
                seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
                text += pieces[(seed >>> 8) % pieces.length];
            }
            const count = (s: string): number => s.split("word").length - 1;

            /* The word after an opening fence names its language. */
            if (!text.includes("```")) expect(count(JSON.stringify(parseMarkup(text))), text).toBeGreaterThanOrEqual(count(text));
        }
    });

    it("takes long hostile text in its stride", () => {
        for (const piece of ["**", "*a", "[", "`", "a@", "- ", "|", "https://", "[a](", "**a"]) {
            const begun = performance.now();

            parseMarkup(piece.repeat(16_000));
            expect(performance.now() - begun, piece).toBeLessThan(1000);
        }
    });
});

describe("what a person wrote", () => {
    it("stays as written, but for addresses", () => {
        expect(outline(parsePlain("**a** [1]\n- https://a.example/b, ok"))).toEqual([
            "p **a** [1]⏎- <a https://a.example/b>https://a.example/b</a>, ok",
        ]);
    });
});

describe("addresses", () => {
    it.each([
        ["https://a.example", true],
        ["mailto:a@b.example", true],
        ["javascript:alert(1)", false],
        ["JaVaScRiPt:alert(1)", false],
        ["vbscript:x", false],
        ["data:text/html,x", false],
        ["/relative", false],
    ])("%s", (href, want) => {
        expect(safeHref(href) !== undefined).toBe(want);
    });
});
