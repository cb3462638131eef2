/*
 * parts.test.ts - the small parts: event parser, outbox, storage, back-off, colours, languages, what the server says
 */
import { describe, expect, it } from "vitest";
import { backoffMs, Pause, retryAfterMs } from "./backoff";
import { palette } from "./color";
import { newClientId, Outbox } from "./outbox";
import { readMessage, readSession, readSnapshot } from "./protocol";
import { EventParser } from "./sse";
import type { ServerEvent } from "./sse";
import { ChannelStorage } from "./storage";
import { chooseLocale, directionOf, fill, shorten, stringsOf } from "./strings";

describe("event stream", () => {
    const text = 'id: e-1\nevent: message\ndata: {"a":1}\n\n:\n\n: heartbeat\ndata: one\ndata:two\r\n\r\nevent: empty\n\nid: e-2\rdata: x\r\r';
    const want: ServerEvent[] = [
        { id: "e-1", type: "message", data: '{"a":1}' },
        { id: "e-1", type: "message", data: "one\ntwo" },
        { id: "e-2", type: "message", data: "x" },
    ];

    it("is the same however it is cut", () => {
        for (let size = 1; size <= text.length; size++) {
            const got: ServerEvent[] = [];
            const parser = new EventParser((event) => got.push(event));

            for (let i = 0; i < text.length; i += size) parser.push(text.slice(i, i + size));
            parser.push("\n"); /* what follows a CR tells whether it was the line's end */
            expect(got).toEqual(want);
        }
    });

    it("does not take half an event", () => {
        const got: ServerEvent[] = [];

        new EventParser((event) => got.push(event)).push("\uFEFFdata: x\n");
        expect(got).toEqual([]);
    });
});

class FakeArea implements Storage {
    private readonly map = new Map<string, string>();
    isFull = false;

    get length(): number {
        return this.map.size;
    }
    key(i: number): string | null {
        return [...this.map.keys()][i] ?? null;
    }
    getItem(key: string): string | null {
        return this.map.get(key) ?? null;
    }
    setItem(key: string, value: string): void {
        if (this.isFull) throw new DOMException("full", "QuotaExceededError");
        this.map.set(key, value);
    }
    removeItem(key: string): void {
        this.map.delete(key);
    }
    clear(): void {
        this.map.clear();
    }
}

describe("outbox", () => {
    it("keeps the order of writing, over tabs and reloads", () => {
        const area = new FakeArea();
        const one = new Outbox(new ChannelStorage("s", "c", area));
        const two = new Outbox(new ChannelStorage("s", "c", area));

        two.put({ clientId: "b", text: "2", createdAt: 1000 });
        one.put({ clientId: "a", text: "1", createdAt: 999 });
        one.put({ clientId: "c", text: "3", createdAt: 10_000 });
        expect(two.list(0).map((i) => i.clientId)).toEqual(["a", "b", "c"]);
        two.remove("a");
        expect(new Outbox(new ChannelStorage("s", "c", area)).list(0).map((i) => i.clientId)).toEqual(["b", "c"]);
        expect(new Outbox(new ChannelStorage("s", "other", area)).list(0)).toEqual([]);
    });

    it("forgets what is damaged or older than a week", () => {
        const area = new FakeArea();
        const outbox = new Outbox(new ChannelStorage("s", "c", area));

        area.setItem("parley:s:c:out:1:x", "{broken");
        outbox.put({ clientId: "old", text: "1", createdAt: 0 });
        outbox.put({ clientId: "new", text: "2", createdAt: 8 * 24 * 3600 * 1000 });
        expect(outbox.list(8 * 24 * 3600 * 1000).map((i) => i.clientId)).toEqual(["new"]);
        expect(area.length).toBe(1);
    });

    it("works in memory when storage is refused or full", () => {
        const full = new FakeArea();

        full.isFull = true;
        for (const area of [null, full]) {
            const outbox = new Outbox(new ChannelStorage("s", "c", area));

            outbox.put({ clientId: "a", text: "1", createdAt: 5 });
            expect(outbox.list(5)).toHaveLength(1);
            outbox.remove("a");
            expect(outbox.list(5)).toEqual([]);
        }
    });

    it("gives ids that the server takes", () => {
        expect(newClientId()).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
        expect(newClientId()).not.toBe(newClientId());
    });
});

describe("waiting", () => {
    it("grows, with a random half, to a limit", () => {
        expect(backoffMs(0, 0)).toBe(250);
        expect(backoffMs(0, 1)).toBe(500);
        expect(backoffMs(3, 1)).toBe(4000);
        expect(backoffMs(99, 1)).toBe(30_000);
    });

    it.each([
        [null, 0],
        ["", 0],
        ["7", 7000],
        ["Thu, 01 Jan 1970 00:00:10 GMT", 9000],
        ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
        ["soon", 0],
        ["999999", 300_000],
    ])("Retry-After: %s", (header, want) => {
        expect(retryAfterMs(header, 1000)).toBe(want);
    });

    it("can be cut short", async () => {
        const pause = new Pause();
        const waited = pause.wait(1_000_000);

        pause.cut();
        await waited;
    });
});

describe("colours", () => {
    const luminance = (hex: string): number => {
        const [r, g, b] = [1, 3, 5].map((i) => {
            const c = parseInt(hex.slice(i, i + 2), 16) / 255;

            return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        }) as [number, number, number];

        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a: string, b: string): number => {
        const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];

        return (high + 0.05) / (low + 0.05);
    };

    it.each(["#000", "#fff", "#ff0", "#0f6b5c", "#e91e63", "#00e5ff", "#808080", "#ff8800", "#1a73e8"])("%s can be read", (color) => {
        const p = palette(color)!;

        expect(contrast(p.accent, p.onAccent)).toBeGreaterThanOrEqual(4.5);
        for (const paper of ["#ffffff", "#f1f3f5"]) expect(contrast(p.accentOnLight, paper)).toBeGreaterThanOrEqual(4.5);
        for (const paper of ["#171a1f", "#262b33"]) expect(contrast(p.accentOnDark, paper)).toBeGreaterThanOrEqual(4.5);
    });

    it("refuses what is not a colour", () => {
        for (const text of ["", "red", "#12", "url(x)", "#12345g"]) expect(palette(text)).toBeUndefined();
    });
});

describe("languages", () => {
    it("all say the same things, with the same blanks", () => {
        const en = stringsOf("en");
        const blanks = (s: string): string[] => [...s.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort();

        for (const locale of ["de", "fr", "es", "it", "pt", "nl", "ar"]) {
            const strings = stringsOf(locale);

            expect(strings).not.toBe(en);
            for (const [key, text] of Object.entries(en)) {
                const other = strings[key as keyof typeof en];

                expect(other, `${locale}.${key}`).toBeTruthy();
                expect(blanks(other), `${locale}.${key}`).toEqual(blanks(text));
            }
        }
    });

    it("are chosen by the first tag that is spoken", () => {
        expect(chooseLocale(["xx", null, undefined, "", "pt_BR", "de"])).toBe("pt-BR");
        expect(chooseLocale(["zz"])).toBe("en");
        expect(directionOf("ar-EG")).toBe("rtl");
        expect(directionOf("arn")).toBe("ltr");
        expect(fill("{who}: {text} {n}", { who: "A", text: "{n}" })).toBe("A: {n} {n}");
        expect(shorten("a😀b", 2)).toBe("a…");
    });
});

describe("what the server says", () => {
    it.each([null, 1, "x", [], {}, { id: "1" }, { id: "1", conversation_id: "2", seq: 0, role: "user" }, { id: "1", conversation_id: "2", seq: 1, role: "root" }])(
        "is not a message: %j",
        (value) => {
            expect(readMessage(value)).toBeUndefined();
        },
    );

    it("is read with everything missing that may be missing", () => {
        expect(readMessage({ id: "1", conversation_id: "2", seq: 3, role: "assistant", citations: [null, { number: 1 }, { title: "x" }] })).toMatchObject({
            text: "",
            answersTo: 0,
            citations: [{ number: 1, title: "", headingPath: "", quote: "", page: 0 }],
        });
        expect(readSnapshot({ messages: [{}, null] })).toEqual({ conversationId: null, status: "", handedOver: false, answeredUpTo: 0, messages: [] });
        expect(readSnapshot({})).toBeUndefined();
        expect(readSession({ token: "t", name: "Shop", title: null, suggestions: ["a", 1, ""] })).toMatchObject({ title: "Shop", suggestions: ["a"] });
        expect(readSession({})).toBeUndefined();
    });
});
