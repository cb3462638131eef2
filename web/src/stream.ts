/*
 * stream.ts - the event stream, kept open
 *
 *   stopped --start--> connecting --headers--> open --end, silence, error--> lost --pause--> connecting
 *
 * After each opening the last event's id is shown, and the server sends what followed. A pause ends at once when
 * the network returns or the page is looked at.
 */
import { backoffMs, Pause } from "./backoff";
import { HttpError } from "./http";
import type { Client } from "./http";
import { EventParser } from "./sse";
import type { ServerEvent } from "./sse";

/* The server writes a comment every 15 s; three missed ones and the connection is dead. */
const SILENCE_MS = 45_000;
/* What ends sooner than this after opening counts as a failure, lest it be reopened in a frenzy. */
const LASTING_MS = 5000;

export type StreamState = "stopped" | "connecting" | "open" | "lost";

export interface StreamOwner {
    onEvent(event: ServerEvent): void;
    onState(state: StreamState): void;
    /** The token is refused: get another. */
    renew(): Promise<void>;
}

export class EventStream {
    lastEventId = "";
    state: StreamState = "stopped";
    private abort: AbortController | null = null;
    private readonly pause = new Pause();

    constructor(
        private readonly client: Client,
        private readonly owner: StreamOwner,
    ) {}

    start(): void {
        if (this.abort === null) void this.run((this.abort = new AbortController()));
    }

    stop(): void {
        this.abort?.abort();
        this.abort = null;
        this.pause.cut();
        this.enter("stopped");
    }

    /** Tries at once when it waits. */
    nudge(): void {
        this.pause.cut();
    }

    private enter(state: StreamState): void {
        if (this.state === state) return;
        this.state = state;
        this.owner.onState(state);
    }

    private async run(abort: AbortController): Promise<void> {
        let failures = 0;

        while (!abort.signal.aborted) {
            const begun = Date.now();
            let wait = 0;

            try {
                await this.readOnce(abort);
            } catch (error) {
                if (abort.signal.aborted) return;
                if (error instanceof HttpError) {
                    wait = error.retryAfterMs;
                    if (error.status === 401 && failures === 0) await this.owner.renew().catch(() => undefined);
                }
            }
            if (abort.signal.aborted) return;
            failures = Date.now() - begun > LASTING_MS ? 0 : failures + 1;
            this.enter("lost");
            await this.pause.wait(Math.max(wait, backoffMs(failures)));
        }
    }

    /** Returns when the stream ended. */
    private async readOnce(outer: AbortController): Promise<void> {
        const inner = new AbortController();
        const end = (): void => inner.abort();
        let timer = setTimeout(end, SILENCE_MS);

        outer.signal.addEventListener("abort", end);
        if (this.state === "stopped") this.enter("connecting");
        try {
            const body = await this.client.events(this.lastEventId, inner.signal);
            const reader = body.getReader();
            const decoder = new TextDecoder();
            const parser = new EventParser((event) => {
                if (event.id !== "") this.lastEventId = event.id;
                if (event.type === "reconnect") end();
                else this.owner.onEvent(event);
            });

            this.enter("open");
            for (;;) {
                const { done, value } = await reader.read();

                if (done) return;
                clearTimeout(timer);
                timer = setTimeout(end, SILENCE_MS);
                parser.push(decoder.decode(value, { stream: true }));
            }
        } finally {
            clearTimeout(timer);
            outer.signal.removeEventListener("abort", end);
        }
    }
}
