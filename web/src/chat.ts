/*
 * chat.ts - one visitor's chat: session, stream, outbox and thread, brought together
 *
 *   loading --session--> ready;  loading --no such chat, or not from this page--> unavailable
 *
 * Nothing here knows of the screen: a listener is told that something changed.
 */
import { backoffMs, Pause } from "./backoff";
import { Client, HttpError } from "./http";
import type { FileLink } from "./http";
import { newClientId, Outbox } from "./outbox";
import type { Unsent } from "./outbox";
import { parseJson, readDelta, readMessage, readSession } from "./protocol";
import type { Message, SessionInfo } from "./protocol";
import type { ServerEvent } from "./sse";
import { ChannelStorage } from "./storage";
import { EventStream } from "./stream";
import type { StreamState } from "./stream";
import { Thread } from "./thread";

/** As many as the server gives at once. */
const PAGE = 100;
/* A tab that nobody looks at gives its connection back: browsers open six to a server. */
const HIDDEN_MS = 120_000;
const SLOW_MS = 20_000;
const RESYNC_MS = 2000;

export interface ChatListener {
    onChange(): void;
    /** A message of the other side that this page had not seen; not called for history. */
    onArrival(message: Message): void;
}

/** What stands behind # of a one-time link; it goes to no server but ours, and once. */
function linkOfPage(): string {
    return /^#link=([A-Za-z0-9_-]{43})$/.exec(location.hash)?.[1] ?? "";
}

export class Chat {
    thread = new Thread();
    phase: "loading" | "ready" | "unavailable" = "loading";
    info: SessionInfo | null = null;
    connection: StreamState = "stopped";
    isSynced = false;
    isSlow = false;
    private readonly client: Client;
    private readonly storage: ChannelStorage;
    private readonly outbox: Outbox;
    private readonly stream: EventStream;
    private readonly pause = new Pause();
    private isWanted = false;
    private isDraining = false;
    /** What this page sent: an answer to it is no history. */
    private readonly sent = new Set<string>();
    private syncing: Promise<void> | null = null;
    private mustSyncAgain = false;
    private slowTimer: ReturnType<typeof setTimeout> | null = null;
    private hiddenTimer: ReturnType<typeof setTimeout> | null = null;

    constructor(
        server: string,
        private readonly channel: string,
        private readonly listener: ChatListener,
    ) {
        this.client = new Client(server, channel);
        this.storage = new ChannelStorage(server, channel);
        this.outbox = new Outbox(this.storage);
        this.stream = new EventStream(this.client, {
            onEvent: (event) => this.onEvent(event),
            onState: (state) => this.onStream(state),
            renew: () => this.renew(),
        });
        /* How the chat looked last time; the next session's answer is newer. */
        this.info = readSession(parseJson(this.storage.get("info") ?? "")) ?? null;
        this.stream.lastEventId = this.storage.get("event") ?? "";
        for (const item of this.outbox.list(Date.now())) this.show(item);
        this.watchPage();
    }

    /** Learns how the chat looks; who was here before also gets what came meanwhile. */
    async begin(): Promise<void> {
        for (let failures = 0; this.phase === "loading"; failures++) {
            try {
                await this.renew();
                this.phase = "ready";
            } catch (error) {
                if (error instanceof HttpError && !error.isPassing) this.phase = "unavailable";
                else {
                    this.onStream("lost");
                    await this.pause.wait(Math.max(backoffMs(failures), error instanceof HttpError ? error.retryAfterMs : 0));
                }
            }
        }
        if (this.isWanted || this.storage.get("said") !== null || this.thread.pending.length > 0) this.connect();
        this.changed();
    }

    /** From now on what happens arrives here. */
    connect(): void {
        this.isWanted = true;
        if (this.phase !== "ready") return;
        this.stream.start();
        void this.drain();
    }

    send(text: string): void {
        const item = { clientId: newClientId(), text, createdAt: Date.now() };

        this.storage.set("said", "1");
        this.outbox.put(item);
        this.show(item);
        this.changed();
        this.connect();
        void this.drain();
    }

    newConversation(): void {
        if (this.thread.conversationId === null) return;
        this.outbox.put({ clientId: newClientId(), text: "", createdAt: Date.now() });
        this.thread.close(this.thread.conversationId);
        this.changed();
        void this.drain();
    }

    /** Tries everything that waits at once; a refused message is tried anew. */
    retry(clientId = ""): void {
        for (const item of this.thread.pending)
            if (item.clientId === clientId && item.state === "refused") {
                this.outbox.put(item);
                item.state = "waiting";
            }
        this.pause.cut();
        this.stream.nudge();
        this.changed();
        void this.drain();
    }

    fileLink(message: string, number: number): Promise<FileLink> {
        return this.client.fileLink(message, number);
    }

    sourceLink(message: string, number: number): Promise<FileLink> {
        return this.client.sourceLink(message, number);
    }

    discard(clientId: string): void {
        this.outbox.remove(clientId);
        this.thread.dropPending(clientId);
        this.changed();
    }

    get isOffline(): boolean {
        return navigator.onLine === false;
    }

    unread(): number {
        const [conversation, seq] = (this.storage.get("read") ?? "").split(" ");
        const from = conversation === this.thread.conversationId ? Number(seq) : 0;

        return this.thread.messages.filter((m) => m.role !== "user" && m.seq > from).length;
    }

    markRead(): void {
        const last = this.thread.lastFromOthers();

        if (last !== undefined && this.unread() > 0) this.storage.set("read", `${last.conversationId} ${last.seq}`);
    }

    /* --- session --- */

    private renew(): Promise<void> {
        /* Two tabs that begin at once are to become one visitor. */
        return exclusively(`parley:session:${this.channel}`, async () => {
            const link = linkOfPage();
            const info = await this.client.session(this.storage.get("token") ?? "", link);

            if (link !== "") history.replaceState(history.state, "", location.pathname + location.search);

            if (!info.resumed && this.client.token !== "") this.forgetVisitor();
            this.client.token = info.token;
            this.storage.set("token", info.token);
            this.storage.set("info", JSON.stringify({ ...info, token: "-" }));
            this.info = info;
        });
    }

    private forgetVisitor(): void {
        const { pending } = this.thread;

        this.thread = new Thread();
        this.thread.pending = pending;
        this.stream.lastEventId = "";
    }

    /* --- reading --- */

    private onStream(state: StreamState): void {
        this.connection = state;
        if (state === "open") {
            void this.sync();
            this.pause.cut();
        }
        this.changed();
    }

    private onEvent(event: ServerEvent): void {
        const data = parseJson(event.data);

        if (event.type === "message") {
            const message = readMessage(data);

            if (message !== undefined) this.arrived(message);
            if (message?.clientId) this.outbox.remove(message.clientId);
        } else if (event.type === "answer_delta") {
            const delta = readDelta(data);

            if (delta !== undefined) this.thread.addDelta(delta);
        } else if (event.type === "answer_restart") this.thread.restartAnswer();
        else if (event.type === "reset") {
            this.thread.restartAnswer();
            void this.sync();
        }
        /* A reload goes on after the last whole message, so that an answer half told is told again. */
        if ((event.type === "message" || event.type === "reset") && event.id !== "") this.storage.set("event", event.id);
        this.changed();
    }

    private arrived(message: Message): void {
        const isKnown = this.thread.messages.some((m) => m.id === message.id);

        this.thread.addMessage(message);
        if (this.thread.hasGap()) void this.sync();
        if (!isKnown && message.role !== "user" && this.thread.messages.includes(message)) this.listener.onArrival(message);
    }

    /** Reads what is not here yet; calls that come meanwhile cause one more reading. */
    private sync(): Promise<void> {
        if (this.syncing !== null) {
            this.mustSyncAgain = true;
            return this.syncing;
        }
        this.syncing = this.readAll()
            .catch((error: unknown) => {
                /* A lost connection brings the next reading when it returns. */
                if (this.connection === "open")
                    setTimeout(() => void this.sync(), Math.max(error instanceof HttpError ? error.retryAfterMs : 0, RESYNC_MS));
            })
            .finally(() => {
                this.syncing = null;
                if (this.mustSyncAgain) void this.sync();
            });
        return this.syncing;
    }

    private async readAll(): Promise<void> {
        const accepted = this.thread.pending.filter((p) => p.state === "sent").map((p) => p.clientId);
        let isWhole = false;

        this.mustSyncAgain = false;
        while (!isWhole) {
            const { conversationId } = this.thread;
            const after = this.thread.completeUpTo();
            const snapshot = await this.client.messages(after);

            /* after_seq counts within one conversation. */
            if (after > 0 && snapshot.conversationId !== null && snapshot.conversationId !== conversationId) {
                this.thread.close(conversationId);
                continue;
            }
            const fresh = snapshot.messages.filter((m) => m.role !== "user" && !this.has(m));
            const begin = this.isSynced ? 0 : this.seqOfFirstSent(snapshot.messages);

            this.thread.addSnapshot(snapshot, conversationId);
            for (const message of fresh) if (message.seq > begin && this.has(message)) this.listener.onArrival(message);
            isWhole = after === 0 || snapshot.messages.length < PAGE;
        }
        for (const clientId of accepted) this.thread.dropPending(clientId);
        this.isSynced = true;
        this.changed();
    }

    /** What stands before it is history; all of it when this page sent nothing. */
    private seqOfFirstSent(read: Message[]): number {
        const own = [...this.thread.messages, ...read].filter((m) => this.sent.has(m.clientId));

        return Math.min(Infinity, ...own.map((m) => m.seq));
    }

    private has(message: Message): boolean {
        return this.thread.messages.some((m) => m.id === message.id);
    }

    /* --- writing --- */

    private show(item: Unsent): void {
        if (item.text !== "") this.thread.addPending({ ...item, state: "waiting", reason: "" });
    }

    private async drain(): Promise<void> {
        let failures = 0;

        if (this.isDraining || this.phase !== "ready") return;
        this.isDraining = true;
        for (;;) {
            /* One tab at a time, so that what was written first is sent first. */
            const wait = await exclusively(`parley:send:${this.channel}`, () => this.sendOldest(failures));

            if (wait < 0) break;
            failures = wait === 0 ? 0 : failures + 1;
            this.changed();
            if (wait > 0) await this.pause.wait(wait);
        }
        this.isDraining = false;
        this.changed();
    }

    /** Milliseconds until the next try; below zero when nothing is left. */
    private async sendOldest(failures: number): Promise<number> {
        const item = this.outbox.list(Date.now())[0];

        if (item === undefined) return -1;
        try {
            if (item.text === "") await this.sendAnew(item);
            else await this.sendMessage(item);
            return 0;
        } catch (error) {
            const http = error instanceof HttpError ? error : new HttpError(0, "", 0);

            if (http.status === 401 && failures < 3) {
                await this.renew().catch(() => undefined);
                return backoffMs(failures);
            }
            if (http.isPassing) {
                this.thread.setPending(item.clientId, "retrying");
                return Math.max(http.retryAfterMs, backoffMs(failures));
            }
            this.outbox.remove(item.clientId);
            this.thread.setPending(item.clientId, "refused", http.detail);
            return 0;
        }
    }

    private async sendMessage(item: Unsent): Promise<void> {
        this.sent.add(item.clientId);
        const message = await this.client.post(item.clientId, item.text);

        this.outbox.remove(item.clientId);
        this.thread.setPending(item.clientId, "sent");
        if (message === undefined) void this.sync();
        else this.arrived(message);
    }

    private async sendAnew(item: Unsent): Promise<void> {
        const { conversationId } = this.thread;

        await this.client.beginAnew(item.clientId);
        this.outbox.remove(item.clientId);
        this.thread.close(conversationId);
    }

    /* --- the page --- */

    private watchPage(): void {
        const hurry = (): void => {
            this.pause.cut();
            this.stream.nudge();
            this.changed();
        };

        addEventListener("online", hurry);
        addEventListener("offline", () => this.changed());
        document.addEventListener("visibilitychange", () => {
            if (this.hiddenTimer !== null) clearTimeout(this.hiddenTimer);
            this.hiddenTimer = null;
            if (!document.hidden) {
                if (this.isWanted && this.connection === "stopped") this.connect();
                hurry();
            } else if (this.connection !== "stopped")
                this.hiddenTimer = setTimeout(() => this.stream.stop(), HIDDEN_MS);
        });
        this.storage.watch((key) => this.onOtherTab(key));
    }

    private onOtherTab(key: string | null): void {
        if (key !== null && !Outbox.isKey(key)) {
            if (key === "said" && this.phase === "ready") this.connect();
            this.changed();
            return;
        }
        const items = this.outbox.list(Date.now());

        for (const item of items) this.show(item);
        for (const p of this.thread.pending)
            if (p.state !== "refused" && p.state !== "sent" && !items.some((i) => i.clientId === p.clientId)) {
                p.state = "sent"; /* or withdrawn: the reading tells */
                void this.sync();
            }
        void this.drain();
        this.changed();
    }

    private changed(): void {
        const waits = this.thread.isAwaitingAnswer() && this.thread.streaming === null;

        if (!waits && this.slowTimer !== null) {
            clearTimeout(this.slowTimer);
            this.slowTimer = null;
        }
        if (!waits) this.isSlow = false;
        else
            this.slowTimer ??= setTimeout(() => {
                this.isSlow = true;
                this.listener.onChange();
            }, SLOW_MS);
        this.listener.onChange();
    }
}

/** Among the tabs of this origin, where the browser can; repeating is harmless where it cannot. */
function exclusively<T>(name: string, work: () => Promise<T>): Promise<T> {
    return navigator.locks === undefined ? work() : (navigator.locks.request(name, work) as Promise<T>);
}
