/*
 * backoff.ts - how long to wait before the next try, and a wait that can be cut short
 */

const FIRST_MS = 500;
const MOST_MS = 30_000;

/** Grows twofold to half a minute; the random half keeps a thousand browsers from returning at once. */
export function backoffMs(failures: number, random: number = Math.random()): number {
    const whole = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(failures, 10));

    return whole / 2 + (whole / 2) * random;
}

/** Retry-After: seconds, or a date. 0: none. */
export function retryAfterMs(header: string | null, now: number = Date.now()): number {
    if (header === null || header === "") return 0;
    const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;

    return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 5 * 60_000) : 0;
}

export class Pause {
    private wake: (() => void) | null = null;

    /** Ends after ms, or with cut(). */
    wait(ms: number): Promise<void> {
        return new Promise((resolve) => {
            const timer = setTimeout(() => this.cut(), ms);

            this.wake = () => {
                clearTimeout(timer);
                this.wake = null;
                resolve();
            };
        });
    }

    cut(): void {
        this.wake?.();
    }
}
