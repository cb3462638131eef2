/*
 * outbox.ts - messages that the server does not have for sure: kept before the first try, forgotten after its
 * receipt
 *
 * The server takes a client id once, so that sending again is always safe.
 */
import { parseJson } from "./protocol";
import type { ChannelStorage } from "./storage";

export interface Unsent {
    clientId: string;
    /** Empty: "begin anew". */
    text: string;
    createdAt: number;
}

const START = "out:";
/* What was never sent in a week is not what the visitor wants to say now. */
const KEEP_MS = 7 * 24 * 3600 * 1000;

function keyOf(item: Unsent): string {
    return `${START}${String(item.createdAt).padStart(15, "0")}:${item.clientId}`;
}

export class Outbox {
    constructor(private readonly storage: ChannelStorage) {}

    /** Oldest first. */
    list(now: number): Unsent[] {
        return this.storage.keys(START).flatMap((key) => {
            const value = parseJson(this.storage.get(key) ?? "") as Partial<Unsent> | undefined;

            if (
                typeof value?.clientId !== "string" ||
                typeof value.text !== "string" ||
                typeof value.createdAt !== "number" ||
                value.createdAt < now - KEEP_MS
            ) {
                this.storage.remove(key);
                return [];
            }
            return [{ clientId: value.clientId, text: value.text, createdAt: value.createdAt }];
        });
    }

    put(item: Unsent): void {
        this.storage.set(keyOf(item), JSON.stringify(item));
    }

    remove(clientId: string): void {
        for (const key of this.storage.keys(START)) if (key.endsWith(`:${clientId}`)) this.storage.remove(key);
    }

    static isKey(key: string): boolean {
        return key.startsWith(START);
    }
}

/** Letters, digits, '-' and '_' as the server wants them; crypto.randomUUID needs a secure page, this does not. */
export function newClientId(): string {
    const bytes = crypto.getRandomValues(new Uint8Array(16));

    return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
