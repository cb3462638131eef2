/*
 * http.ts - the calls of the web chat's contract
 */
import { retryAfterMs } from "./backoff";
import { parseJson, readLink, readMessage, readSession, readSnapshot } from "./protocol";
import type { Message, SessionInfo, Snapshot } from "./protocol";

const TIMEOUT_MS = 20_000;

/** status 0: no answer at all. */
export class HttpError extends Error {
    constructor(
        readonly status: number,
        readonly detail: string,
        readonly retryAfterMs: number,
    ) {
        super(`HTTP ${status}`);
    }

    /** Whether the same request may succeed later. */
    get isPassing(): boolean {
        return this.status === 0 || this.status === 408 || this.status === 425 || this.status === 429 || this.status >= 500;
    }
}

export interface FileLink {
    url: string;
    expiresAt: number;
}

export class Client {
    private readonly base: string;
    token = "";

    constructor(
        private readonly server: string,
        channel: string,
    ) {
        this.base = `${server}/v1/webchat/${encodeURIComponent(channel)}`;
    }

    /** link: a one-time link's, which makes the visitor the person that it was given to. */
    async session(token: string, link = ""): Promise<SessionInfo> {
        const body = { ...(token === "" ? {} : { token }), ...(link === "" ? {} : { link }) };

        return wanted(readSession(await this.call("POST", "/session", body)));
    }

    async messages(afterSeq: number): Promise<Snapshot> {
        const query = afterSeq > 0 ? `?after_seq=${afterSeq}` : "";

        return wanted(readSnapshot(await this.call("GET", `/messages${query}`)));
    }

    /** The message as kept; undefined when the server only says that it has it. */
    async post(clientId: string, text: string): Promise<Message | undefined> {
        const metadata = { page: location.href.split(/[?#]/)[0]!.slice(0, 500), locale: navigator.language };

        return readMessage(await this.call("POST", "/messages", { client_message_id: clientId, text, metadata }));
    }

    async beginAnew(clientId: string): Promise<void> {
        await this.call("POST", "/messages", { client_message_id: clientId, new_conversation: true });
    }

    /** Where a file of a message can be fetched for a while, by whoever has the address. */
    async fileLink(message: string, number: number): Promise<FileLink> {
        return this.link(`/messages/${encodeURIComponent(message)}/attachments/${number}/link`);
    }

    /** Where a source of an answer opens, at its page or passage, for a while. */
    async sourceLink(message: string, number: number): Promise<FileLink> {
        return this.link(`/messages/${encodeURIComponent(message)}/citations/${number}/link`);
    }

    private async link(path: string): Promise<FileLink> {
        const link = wanted(readLink(await this.call("GET", path)));

        return { ...link, url: new URL(link.url, new URL(this.server, location.href)).href };
    }

    async events(lastEventId: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
        const response = await request(`${this.base}/events`, {
            headers: { ...this.headers(), Accept: "text/event-stream", ...(lastEventId && { "Last-Event-ID": lastEventId }) },
            cache: "no-store",
            signal,
        });

        if (response.body === null) throw new HttpError(0, "", 0);
        return response.body;
    }

    private headers(): Record<string, string> {
        return this.token === "" ? {} : { Authorization: `Bearer ${this.token}` };
    }

    private async call(method: string, path: string, body?: unknown): Promise<unknown> {
        const abort = new AbortController();
        const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);

        try {
            const response = await request(this.base + path, {
                method,
                headers: { ...this.headers(), ...(body !== undefined && { "Content-Type": "application/json" }) },
                body: body === undefined ? null : JSON.stringify(body),
                cache: "no-store",
                credentials: "omit",
                signal: abort.signal,
            });

            return parseJson(await response.text());
        } catch (error) {
            /* Cut off while the body came: as good as no answer. */
            throw error instanceof HttpError ? error : new HttpError(0, "", 0);
        } finally {
            clearTimeout(timer);
        }
    }
}

async function request(url: string, init: RequestInit): Promise<Response> {
    let response: Response;

    try {
        response = await fetch(url, init);
    } catch {
        throw new HttpError(0, "", 0);
    }
    if (response.ok) return response;
    const problem = parseJson(await response.text().catch(() => "")) as { detail?: unknown } | undefined;

    throw new HttpError(
        response.status,
        typeof problem?.detail === "string" ? problem.detail : "",
        retryAfterMs(response.headers.get("Retry-After")),
    );
}

function wanted<T>(value: T | undefined): T {
    /* A proxy's page, or half an answer: try again. */
    if (value === undefined) throw new HttpError(0, "", 0);
    return value;
}
