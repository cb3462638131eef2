/*
 * protocol.ts - what the server says, read from JSON that is not trusted (docs/contracts/webchat.md)
 *
 * Each reader returns undefined for what does not have the promised shape; unknown fields are left out.
 */

export type Role = "user" | "assistant" | "agent" | "system";

export interface Citation {
    number: number;
    title: string;
    headingPath: string;
    quote: string;
    /** From 1; 0 when the document has no pages. */
    page: number;
}

export interface Attachment {
    /** By which its address is asked for. */
    number: number;
    kind: string;
    name: string;
    /** 0: not known. */
    bytes: number;
}

export interface Message {
    id: string;
    conversationId: string;
    seq: number;
    role: Role;
    text: string;
    createdAt: string;
    /** Of the visitor's own messages: the id that the browser gave. */
    clientId: string;
    /** Of answers: the last message that it answers; 0 when it answers none. */
    answersTo: number;
    citations: Citation[];
    attachments: Attachment[];
}

export interface Snapshot {
    conversationId: string | null;
    status: string;
    handedOver: boolean;
    /** Messages up to this one are dealt with, in words or without. */
    answeredUpTo: number;
    messages: Message[];
}

export interface Delta {
    answersTo: number;
    /** Bytes of UTF-8 that came before. */
    offset: number;
    text: string;
}

export interface SessionInfo {
    token: string;
    /** Whether the token that was shown is still good: the same visitor. */
    resumed: boolean;
    title: string;
    greeting: string;
    color: string;
    locale: string;
    suggestions: string[];
}

type Json = Record<string, unknown>;

function asObject(value: unknown): Json | undefined {
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function text(value: unknown): string {
    return typeof value === "string" ? value : "";
}

function count(value: unknown): number {
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

function list(value: unknown): unknown[] {
    return Array.isArray(value) ? value : [];
}

export function parseJson(raw: string): unknown {
    try {
        return JSON.parse(raw);
    } catch {
        return undefined;
    }
}

function readCitation(value: unknown): Citation[] {
    const row = asObject(value);
    const number = count(row?.number);

    return row === undefined || number === 0
        ? []
        : [{ number, title: text(row.title), headingPath: text(row.heading_path), quote: text(row.quote), page: count(row.page) }];
}

function readAttachment(value: unknown): Attachment[] {
    const row = asObject(value);

    return row === undefined || typeof row.number !== "number"
        ? []
        : [{ number: count(row.number), kind: text(row.kind), name: text(row.file_name), bytes: count(row.size_bytes) }];
}

export function readLink(value: unknown): { url: string; expiresAt: number } | undefined {
    const row = asObject(value);
    const expiresAt = Date.parse(text(row?.expires_at));

    return row === undefined || text(row.url) === "" || Number.isNaN(expiresAt) ? undefined : { url: text(row.url), expiresAt };
}

export function readMessage(value: unknown): Message | undefined {
    const row = asObject(value);
    const role = text(row?.role);

    if (row === undefined || text(row.id) === "" || text(row.conversation_id) === "" || count(row.seq) === 0)
        return undefined;
    if (role !== "user" && role !== "assistant" && role !== "agent" && role !== "system") return undefined;
    return {
        id: text(row.id),
        conversationId: text(row.conversation_id),
        seq: count(row.seq),
        role,
        text: text(row.text),
        createdAt: text(row.created_at),
        clientId: text(row.client_message_id),
        answersTo: count(row.answers_to_seq),
        citations: list(row.citations).flatMap(readCitation),
        attachments: list(row.attachments).flatMap(readAttachment),
    };
}

export function readSnapshot(value: unknown): Snapshot | undefined {
    const row = asObject(value);

    if (row === undefined || !Array.isArray(row.messages)) return undefined;
    return {
        conversationId: text(row.conversation_id) || null,
        status: text(row.conversation_status),
        handedOver: row.hand_off_to_human === true,
        answeredUpTo: count(row.answered_seq),
        messages: row.messages.flatMap((m) => readMessage(m) ?? []),
    };
}

export function readDelta(value: unknown): Delta | undefined {
    const row = asObject(value);

    if (row === undefined || typeof row.text !== "string" || typeof row.offset !== "number") return undefined;
    return { answersTo: count(row.answers_to_seq), offset: count(row.offset), text: row.text };
}

export function readSession(value: unknown): SessionInfo | undefined {
    const row = asObject(value);

    if (row === undefined || text(row.token) === "") return undefined;
    return {
        token: text(row.token),
        resumed: row.resumed === true,
        title: text(row.title) || text(row.name),
        greeting: text(row.greeting),
        color: text(row.color),
        locale: text(row.locale),
        suggestions: list(row.suggestions).map(text).filter((s) => s !== ""),
    };
}
