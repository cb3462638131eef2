/*
 * thread.ts - the visitor's conversation as this browser knows it: merging what arrives
 *
 *   written --> pending --accepted, or seen in an event or a reading--> message (one, whatever came first)
 *
 * Everything may arrive twice and in any order: events of the stream, answers to posts, readings of the
 * whole. The result depends only on what arrived: messages are one per id, in order of seq, of the newest
 * conversation (ids of conversations sort by their age). A message never disappears but with its
 * conversation. Pure: no clock, no network, no storage.
 */
import type { Delta, Message, Snapshot } from "./protocol";

export interface Pending {
    clientId: string;
    text: string;
    createdAt: number;
    /** sent: the server has it, but it has not been seen among the messages yet. */
    state: "waiting" | "retrying" | "sent" | "refused";
    /** Of refused ones: why, in the server's words. */
    reason: string;
}

export interface Streaming {
    answersTo: number;
    text: string;
    bytes: number;
}

const encoder = new TextEncoder();

export class Thread {
    conversationId: string | null = null;
    status = "";
    handedOver = false;
    answeredUpTo = 0;
    messages: Message[] = [];
    pending: Pending[] = [];
    streaming: Streaming | null = null;
    /** Conversations up to this one are over. */
    private closedUpTo = "";

    /* --- what the visitor writes --- */

    addPending(item: Pending): void {
        if (this.pending.some((p) => p.clientId === item.clientId)) return;
        if (this.messages.some((m) => m.clientId === item.clientId)) return;
        this.pending.push(item);
        this.pending.sort((a, b) => a.createdAt - b.createdAt || (a.clientId < b.clientId ? -1 : 1));
    }

    dropPending(clientId: string): void {
        this.pending = this.pending.filter((p) => p.clientId !== clientId);
    }

    setPending(clientId: string, state: Pending["state"], reason = ""): void {
        for (const item of this.pending)
            if (item.clientId === clientId) {
                item.state = state;
                item.reason = reason;
            }
    }

    /* --- what arrives --- */

    addMessage(message: Message): void {
        if (message.clientId !== "") this.dropPending(message.clientId);
        if (!this.enter(message.conversationId)) return;
        const at = this.messages.findIndex((m) => m.seq >= message.seq);

        if (at < 0) {
            this.messages.push(message);
            if (message.role === "user" && this.status === "failed") this.status = "";
        } else if (this.messages[at]!.seq === message.seq) this.messages[at] = richer(this.messages[at]!, message);
        else this.messages.splice(at, 0, message);

        if (this.streaming !== null && this.isAnswered(this.streaming.answersTo)) this.streaming = null;
    }

    /** knownBefore: the conversation that was known when the reading was asked for. */
    addSnapshot(snapshot: Snapshot, knownBefore: string | null): void {
        if (snapshot.conversationId === null) {
            this.close(knownBefore);
            return;
        }
        if (!this.enter(snapshot.conversationId)) return;
        for (const message of snapshot.messages) this.addMessage(message);
        this.status = snapshot.status;
        this.handedOver = snapshot.handedOver;
        this.answeredUpTo = Math.max(this.answeredUpTo, snapshot.answeredUpTo);
    }

    addDelta(delta: Delta): void {
        const s = this.streaming;

        if (this.isAnswered(delta.answersTo) || (s !== null && delta.answersTo < s.answersTo)) return;
        if (delta.offset === 0)
            this.streaming = { answersTo: delta.answersTo, text: delta.text, bytes: encoder.encode(delta.text).length };
        else if (s !== null && s.answersTo === delta.answersTo && s.bytes === delta.offset)
            this.streaming = {
                answersTo: s.answersTo,
                text: s.text + delta.text,
                bytes: s.bytes + encoder.encode(delta.text).length,
            };
        /* Anything else is a repetition, or leaves a gap that the whole message will fill. */
    }

    restartAnswer(): void {
        this.streaming = null;
    }

    /** The open conversation ends; later messages begin another. */
    close(conversationId: string | null): void {
        if (conversationId === null) return;
        if (conversationId > this.closedUpTo) this.closedUpTo = conversationId;
        if (this.conversationId !== null && this.conversationId <= this.closedUpTo) this.clear(null);
    }

    /* --- questions --- */

    /** Every message up to this one is here: what to ask for after a gap. */
    completeUpTo(): number {
        let seq = this.messages[0]?.seq ?? 0;

        for (const message of this.messages) if (message.seq <= seq + 1) seq = message.seq;
        return seq;
    }

    hasGap(): boolean {
        return this.completeUpTo() !== (this.messages[this.messages.length - 1]?.seq ?? 0);
    }

    /** The server has a message of the visitor that is not answered yet, and nobody but the model is asked. */
    isAwaitingAnswer(): boolean {
        let asked = 0;

        if (this.handedOver || this.status === "failed") return false;
        for (const m of this.messages) if (m.role === "user") asked = m.seq;
        return asked > this.answeredUpTo && !this.isAnswered(asked);
    }

    lastFromOthers(): Message | undefined {
        for (let i = this.messages.length - 1; i >= 0; i--) if (this.messages[i]!.role !== "user") return this.messages[i];
        return undefined;
    }

    /* --- inside --- */

    private isAnswered(seq: number): boolean {
        return this.messages.some((m) => m.role !== "user" && (m.answersTo >= seq || (m.answersTo === 0 && m.seq > seq)));
    }

    /** Whether messages of this conversation are to be shown. */
    private enter(conversationId: string): boolean {
        if (conversationId <= this.closedUpTo) return false;
        if (this.conversationId !== null && conversationId < this.conversationId) return false;
        if (conversationId !== this.conversationId) this.clear(conversationId);
        return true;
    }

    private clear(conversationId: string | null): void {
        this.conversationId = conversationId;
        this.messages = [];
        this.streaming = null;
        this.status = "";
        this.handedOver = false;
        this.answeredUpTo = 0;
    }
}

/* The event of a visitor's own message may know less than the stored one. */
function richer(known: Message, arrived: Message): Message {
    return arrived.citations.length >= known.citations.length ? arrived : known;
}
