/*
 * storage.ts - what outlives the page, by channel: token, unsent messages, place in the event stream
 *
 * In localStorage, so that a reload and other tabs find it. Where the browser refuses storage, all is kept in
 * memory: the chat works until the page goes. Unsent messages have a key each: tabs never overwrite one
 * another's.
 */
export class ChannelStorage {
    private readonly memory = new Map<string, string>();
    private readonly area: Storage | null;
    private readonly prefix: string;

    constructor(server: string, channel: string, area: Storage | null = openArea()) {
        this.prefix = `parley:${server}:${channel}:`;
        this.area = area;
    }

    get(key: string): string | null {
        try {
            return this.memory.get(key) ?? this.area?.getItem(this.prefix + key) ?? null;
        } catch {
            return null;
        }
    }

    set(key: string, value: string): void {
        try {
            if (this.area === null) throw new Error("no storage");
            this.area.setItem(this.prefix + key, value);
            this.memory.delete(key);
        } catch {
            this.memory.set(key, value); /* refused or full */
        }
    }

    remove(key: string): void {
        this.memory.delete(key);
        try {
            this.area?.removeItem(this.prefix + key);
        } catch {
            /* it could not be written either */
        }
    }

    /** Keys that begin so. */
    keys(start: string): string[] {
        const found = new Set([...this.memory.keys()].filter((key) => key.startsWith(start)));

        try {
            for (let i = 0; i < (this.area?.length ?? 0); i++) {
                const key = this.area?.key(i);

                if (key?.startsWith(this.prefix + start)) found.add(key.slice(this.prefix.length));
            }
        } catch {
            /* memory alone */
        }
        return [...found].sort();
    }

    /** Calls back when another tab changed a key; null: any of them. */
    watch(changed: (key: string | null) => void): () => void {
        const listener = (event: StorageEvent): void => {
            if (event.key === null) changed(null);
            else if (event.key.startsWith(this.prefix)) changed(event.key.slice(this.prefix.length));
        };

        addEventListener("storage", listener);
        return () => removeEventListener("storage", listener);
    }
}

function openArea(): Storage | null {
    try {
        const area = window.localStorage;

        area.setItem("parley:probe", "1");
        area.removeItem("parley:probe");
        return area;
    } catch {
        return null;
    }
}
