/*
 * thread.test.ts - whatever the order, whatever is repeated: the same list at the end
 */
import { describe, expect, it } from "vitest";
import type { Delta, Message, Role, Snapshot } from "./protocol";
import { Thread } from "./thread";

const OLD = "01a00000-0000-7000-8000-000000000001";
const NEW = "01b00000-0000-7000-8000-000000000002";

function message(seq: number, role: Role, more: Partial<Message> = {}): Message {
    return {
        id: `${more.conversationId ?? NEW}:${seq}`,
        conversationId: NEW,
        seq,
        role,
        text: `text ${seq}`,
        createdAt: "2026-01-01T00:00:00Z",
        clientId: role === "user" ? `client-${seq}` : "",
        answersTo: role === "assistant" ? seq - 1 : 0,
        citations: [],
        attachments: [],
        ...more,
    };
}

function snapshot(messages: Message[], more: Partial<Snapshot> = {}): Snapshot {
    return { conversationId: NEW, status: "ai_response_sent", handedOver: false, answeredUpTo: 0, messages, ...more };
}

function pending(clientId: string, createdAt = 0) {
    return { clientId, text: "x", createdAt, state: "waiting" as const, reason: "" };
}

/** Numbers that look random and are the same in each run. */
function generator(seed: number): () => number {
    return () => {
        seed = (Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
        return ((seed >>> 0) % 1_000_003) / 1_000_003;
    };
}

function shuffled<T>(list: T[], random: () => number): T[] {
    const out = [...list];

    for (let i = out.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));

        [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
}

function visible(thread: Thread): string[] {
    return thread.messages.map((m) => `${m.conversationId} ${m.seq} ${m.role} ${m.text} ${m.citations.length}`);
}

describe("merging", () => {
    const cited = message(4, "assistant", { citations: [{ number: 1, title: "T", headingPath: "", quote: "Q", page: 0 }] });
    const truth = [message(1, "user"), message(2, "assistant"), message(3, "user"), cited, message(5, "agent"), message(6, "user")];
    const former = [1, 2, 3].map((seq) => message(seq, seq % 2 === 1 ? "user" : "assistant", { conversationId: OLD, clientId: `old-${seq}` }));
    const deltas: Delta[] = [
        { answersTo: 3, offset: 0, text: "Grüße" },
        { answersTo: 3, offset: 7, text: " aus" },
        { answersTo: 3, offset: 11, text: " 日本" },
    ];

    it("gives the same list for any order and any repetition", () => {
        for (let seed = 1; seed <= 500; seed++) {
            const random = generator(seed);
            const thread = new Thread();
            const steps: (() => void)[] = [];

            for (const m of truth) if (m.role === "user") thread.addPending(pending(m.clientId, m.seq));
            /* Each message comes as an event, perhaps twice, and some in readings of a stretch. */
            for (const m of [...truth, ...former])
                for (let n = 0; n < 1 + Math.floor(random() * 3); n++) steps.push(() => thread.addMessage({ ...m }));
            for (let n = 0; n < 4; n++) {
                const from = Math.floor(random() * truth.length);

                steps.push(() => thread.addSnapshot(snapshot(truth.slice(from, from + 3)), NEW));
                steps.push(() => thread.addSnapshot(snapshot(former, { conversationId: OLD }), OLD));
            }
            for (const d of deltas) steps.push(() => thread.addDelta(d));
            steps.push(() => thread.restartAnswer());
            for (const step of shuffled(steps, random)) step();

            expect(visible(thread)).toEqual(visible({ messages: truth } as Thread));
            expect(thread.pending).toEqual([]);
            expect(thread.streaming).toBeNull();
            expect(thread.conversationId).toBe(NEW);
        }
    });

    it("never shows a written message twice, and never not at all", () => {
        for (let seed = 1; seed <= 300; seed++) {
            const random = generator(seed);
            const thread = new Thread();
            const own = truth.filter((m) => m.role === "user");
            const seen = (id: string): number =>
                thread.pending.filter((p) => p.clientId === id).length + thread.messages.filter((m) => m.clientId === id).length;

            for (const m of own) thread.addPending(pending(m.clientId, m.seq));
            for (const m of shuffled([...truth, ...truth], random)) {
                thread.addMessage(m);
                /* The outbox of another tab shows it again. */
                if (random() < 0.5) thread.addPending(pending(own[Math.floor(random() * own.length)]!.clientId));
                for (const o of own) expect(seen(o.clientId)).toBe(1);
            }
        }
    });

    it("keeps what the stored message knows over what its event knew", () => {
        const thread = new Thread();

        thread.addMessage(cited);
        thread.addMessage({ ...cited, citations: [] });
        expect(thread.messages[0]!.citations).toHaveLength(1);
    });
});

describe("conversations", () => {
    it("ends when a reading says that there is none", () => {
        const thread = new Thread();

        thread.addMessage(message(1, "user"));
        thread.addSnapshot(snapshot([], { conversationId: null }), NEW);
        expect(thread.messages).toEqual([]);
        thread.addMessage(message(1, "user"));
        expect(thread.messages).toEqual([]);
    });

    it("does not lose one that began after the reading was asked for", () => {
        const thread = new Thread();

        thread.addMessage(message(1, "user"));
        thread.addSnapshot(snapshot([], { conversationId: null }), null);
        thread.addSnapshot(snapshot([], { conversationId: null }), OLD);
        expect(thread.messages).toHaveLength(1);
    });

    it("stays closed until another begins", () => {
        const thread = new Thread();

        thread.addMessage(message(1, "user", { conversationId: OLD }));
        thread.close(OLD);
        thread.addSnapshot(snapshot([message(1, "user", { conversationId: OLD })], { conversationId: OLD }), null);
        expect(thread.messages).toEqual([]);
        thread.addMessage(message(1, "user"));
        expect(visible(thread)).toHaveLength(1);
    });
});

describe("streaming", () => {
    const asked = message(1, "user");

    it.each<[string, Delta[], string | null]>([
        ["in order", [{ answersTo: 1, offset: 0, text: "a" }, { answersTo: 1, offset: 1, text: "b" }], "ab"],
        ["repeated", [{ answersTo: 1, offset: 0, text: "ab" }, { answersTo: 1, offset: 2, text: "c" }, { answersTo: 1, offset: 2, text: "c" }], "abc"],
        ["counted in bytes", [{ answersTo: 1, offset: 0, text: "ü€😀" }, { answersTo: 1, offset: 9, text: "!" }], "ü€😀!"],
        ["with a gap", [{ answersTo: 1, offset: 0, text: "a" }, { answersTo: 1, offset: 5, text: "z" }], "a"],
        ["without its beginning", [{ answersTo: 1, offset: 5, text: "z" }], null],
        ["begun again", [{ answersTo: 1, offset: 0, text: "first" }, { answersTo: 1, offset: 0, text: "second" }], "second"],
        ["of an older question", [{ answersTo: 3, offset: 0, text: "new" }, { answersTo: 1, offset: 0, text: "old" }], "new"],
    ])("takes pieces %s", (_name, deltas, want) => {
        const thread = new Thread();

        thread.addMessage(asked);
        for (const delta of deltas) thread.addDelta(delta);
        expect(thread.streaming?.text ?? null).toBe(want);
    });

    it("ends with the whole message, not with another question", () => {
        const thread = new Thread();

        thread.addMessage(asked);
        thread.addDelta({ answersTo: 1, offset: 0, text: "a" });
        thread.addMessage(message(2, "user"));
        expect(thread.streaming).not.toBeNull();
        thread.addMessage(message(3, "assistant", { answersTo: 1 }));
        expect(thread.streaming).toBeNull();
        thread.addDelta({ answersTo: 1, offset: 0, text: "late" });
        expect(thread.streaming).toBeNull();
        expect(thread.isAwaitingAnswer()).toBe(true);
    });
});

describe("waiting for an answer", () => {
    it.each<[string, Message[], Partial<Snapshot>, boolean]>([
        ["nothing asked", [], {}, false],
        ["asked", [message(1, "user")], {}, true],
        ["answered", [message(1, "user"), message(2, "assistant")], {}, false],
        ["asked again meanwhile", [message(1, "user"), message(2, "user"), message(3, "assistant", { answersTo: 1 })], {}, true],
        ["answered by a person", [message(1, "user"), message(2, "agent")], {}, false],
        ["a person has it", [message(1, "user")], { handedOver: true }, false],
        ["given back, and dealt with", [message(1, "agent"), message(2, "user")], { answeredUpTo: 2 }, false],
        ["given up", [message(1, "user")], { status: "failed" }, false],
    ])("%s", (_name, messages, more, want) => {
        const thread = new Thread();

        thread.addSnapshot(snapshot(messages, more), NEW);
        expect(thread.isAwaitingAnswer()).toBe(want);
    });
});

describe("gaps", () => {
    it("asks for what follows the unbroken part", () => {
        const thread = new Thread();

        for (const seq of [4, 5, 7]) thread.addMessage(message(seq, "user"));
        expect(thread.completeUpTo()).toBe(5);
        expect(thread.hasGap()).toBe(true);
        thread.addMessage(message(6, "user"));
        expect(thread.completeUpTo()).toBe(7);
        expect(thread.hasGap()).toBe(false);
    });
});
